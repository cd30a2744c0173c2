//! A plot as SVG: one frame with ticks, and marks in it that are labelled where they are. Colours are classes of the
//! page's style, so that it is drawn in light and in dark: `one`, `two` and `three`. Lines may be `thin`, rules `solid`.
//! What is no number is not drawn.

use std::fmt::Write;

use crate::axis::Axis;
use crate::escape::escaped;

/// Width and height of a plot in its own units, which are about pixels on a narrow screen.
const SIZE: (f64, f64) = (360.0, 230.0);

/// Room for the labels of the vertical axis, what is left of it without them, and room above and below the frame.
const LEFT: f64 = 46.0;
const BARE: f64 = 8.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 38.0;

/// Least distance of two labels.
const LINE: f64 = 13.0;

/// About how wide a character of a label is in a wide font.
const CHARACTER: f64 = 7.5;

/// Least distance of two names of points.
const APART: f64 = 14.0;

/// A plot in the making.
#[derive(Debug)]
pub struct Plot {
    key: &'static str,
    about: String,
    x: Axis,
    /// Whether the values of the vertical axis mean nothing.
    bare: bool,
    y: Axis,
    right: f64,
    marks: String,
    /// Height, text and class of the labels beside the right end.
    labels: Vec<(f64, String, &'static str)>,
    /// Where names of points are.
    names: Vec<(f64, f64)>,
    /// Whether anything that was measured is to be seen.
    drawn: bool,
    /// What is said where it is not.
    nothing: &'static str,
}

impl Plot {
    /// `key` is given once in a page. `about` tells in words what is to be seen. `right` is the room for labels beside
    /// the right end.
    pub fn new(key: &'static str, about: String, x: Axis, y: Axis, right: f64) -> Self {
        Self {
            key,
            about,
            x,
            bare: false,
            y,
            right,
            marks: String::new(),
            labels: Vec::new(),
            names: Vec::new(),
            drawn: false,
            nothing: "nothing was measured",
        }
    }

    /// What it says where nothing is drawn.
    #[must_use]
    pub fn nothing(self, nothing: &'static str) -> Self {
        Self { nothing, ..self }
    }

    /// Without a vertical axis: its values mean nothing.
    #[must_use]
    pub fn bare(self) -> Self {
        Self { bare: true, ..self }
    }

    fn left(&self) -> f64 {
        if self.bare { BARE } else { LEFT }
    }

    fn x(&self, value: f64) -> Option<f64> {
        Some(self.left() + self.x.part(value)? * (SIZE.0 - self.left() - self.right))
    }

    fn y(&self, value: f64) -> Option<f64> {
        Some(SIZE.1 - BOTTOM - self.y.part(value)? * (SIZE.1 - TOP - BOTTOM))
    }

    fn place(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        Some((self.x(x)?, self.y(y)?))
    }

    /// A line through points, labelled at its end. It is broken where a point cannot be drawn, and one alone is a dot.
    pub fn line(&mut self, points: &[(f64, f64)], class: &'static str, label: &str) {
        let places: Vec<_> = points.iter().map(|point| self.place(*point)).collect();
        for part in places.split(Option::is_none) {
            let part: Vec<_> = part.iter().flatten().collect();
            let _ = match part[..] {
                [] => continue,
                [(x, y)] => {
                    writeln!(self.marks, "<circle class=\"dot {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"/>")
                }
                _ => {
                    let places: Vec<_> = part.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
                    writeln!(self.marks, "<polyline class=\"line {class}\" points=\"{}\"/>", places.join(" "))
                }
            };
            self.drawn = true;
        }
        if let Some(&(_, y)) = places.iter().flatten().next_back().filter(|_| !label.is_empty()) {
            self.labels.push((y, label.to_owned(), class));
        }
    }

    /// A dot that tells of itself when it is pointed at.
    pub fn dot(&mut self, point: (f64, f64), radius: f64, class: &str, tells: &str) {
        let Some((x, y)) = self.place(point) else { return };
        let tells = escaped(tells);
        let _ = writeln!(
            self.marks,
            "<circle class=\"dot {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"><title>{tells}</title></circle>"
        );
        self.drawn = true;
    }

    /// A bar over a part of the horizontal axis.
    pub fn bar(&mut self, (from, to): (f64, f64), (low, high): (f64, f64), class: &str) {
        let (Some((left, bottom)), Some((right, top))) = (self.place((from, low)), self.place((to, high))) else {
            return;
        };
        let (width, height) = ((right - left).max(0.5), bottom - top);
        let _ = writeln!(
            self.marks,
            "<rect class=\"fill {class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
        );
        self.drawn = true;
    }

    /// A thin straight line between two points.
    pub fn rule(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let (Some((x1, y1)), Some((x2, y2))) = (self.place(from), self.place(to)) else { return };
        let _ = writeln!(
            self.marks,
            "<line class=\"rule {class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        );
    }

    /// Text beside a point; `anchor` is `start`, `middle` or `end`, the shift is down in the plot's own units.
    pub fn text(&mut self, point: (f64, f64), shift: f64, anchor: &str, class: &str, text: &str) {
        let Some((x, y)) = self.place(point) else { return };
        let (y, text) = (y + shift, escaped(text));
        let _ = writeln!(
            self.marks,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    /// The short name of a point, above it where there is room. Whether it is there: it is left out where it would touch
    /// another.
    pub fn name(&mut self, point: (f64, f64), name: &str) -> bool {
        let Some((x, y)) = self.place(point) else { return false };
        let y = if y < TOP + LINE { y + 15.0 } else { y - 6.0 };
        if self.names.iter().any(|other| (x - other.0).hypot(y - other.1) < APART) {
            return false;
        }
        self.names.push((x, y));
        let name = escaped(name);
        let _ = writeln!(
            self.marks,
            "<text class=\"label\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{name}</text>"
        );
        true
    }

    /// The plot with its title and a line of text below.
    pub fn figure(mut self, title: &str, below: &str) -> String {
        let key = self.key;
        let (frame, labels) = (self.frame(), self.placed_labels());
        let nothing = if self.drawn {
            String::new()
        } else {
            let (x, y) = (f64::midpoint(self.left(), SIZE.0 - self.right), f64::midpoint(TOP, SIZE.1 - BOTTOM));
            let nothing = self.nothing;
            format!("<text class=\"label\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{nothing}</text>\n")
        };
        let title = escaped(title);
        format!(
            "<figure><figcaption><strong>{title}</strong> <span>{}</span></figcaption>\n\
             <svg viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{key}-title {key}-desc\">\n\
             <title id=\"{key}-title\">{title}</title>\n<desc id=\"{key}-desc\">{}</desc>\n\
             {frame}{}{nothing}{labels}</svg>\n<p class=\"note\">{}</p></figure>\n",
            escaped(self.y.label),
            SIZE.0,
            SIZE.1,
            escaped(&self.about),
            self.marks,
            escaped(below)
        )
    }

    /// Axes, ticks and their names.
    fn frame(&self) -> String {
        let mut frame = String::new();
        let (left, right, bottom) = (self.left(), SIZE.0 - self.right, SIZE.1 - BOTTOM);
        let heights = if self.bare { Vec::new() } else { self.y.ticks(4.0) };
        for value in heights {
            let (Some(y), text) = (self.y(value), self.y.tick(value)) else { continue };
            let _ = writeln!(
                frame,
                "<line class=\"grid\" x1=\"{left}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                left - 6.0,
                y + 4.0
            );
        }
        for value in self.x.ticks(5.0) {
            let (Some(x), text) = (self.x(value), self.x.tick(value)) else { continue };
            let _ = writeln!(
                frame,
                "<line class=\"axis\" x1=\"{x:.1}\" y1=\"{bottom}\" x2=\"{x:.1}\" y2=\"{:.1}\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
                bottom + 4.0,
                bottom + 16.0
            );
        }
        let _ = writeln!(
            frame,
            "<line class=\"axis\" x1=\"{left}\" y1=\"{bottom}\" x2=\"{right}\" y2=\"{bottom}\"/>\
             <text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            f64::midpoint(left, right),
            SIZE.1 - 4.0,
            escaped(self.x.label)
        );
        frame
    }

    /// The labels beside the right end, moved apart where they would touch.
    fn placed_labels(&mut self) -> String {
        self.labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let count = self.labels.len();
        for place in 1..count {
            self.labels[place].0 = self.labels[place].0.max(self.labels[place - 1].0 + LINE);
        }
        let lowest = SIZE.1 - BOTTOM;
        for place in (0..count).rev() {
            let limit = if place + 1 == count { lowest } else { self.labels[place + 1].0 - LINE };
            self.labels[place].0 = self.labels[place].0.min(limit);
        }
        let label = |(y, text, class): &(f64, String, &str)| {
            // What may be too wide for its room ends at the edge.
            let is_wide = CHARACTER * text.chars().count() as f64 > self.right - 5.0;
            let (x, anchor) = if is_wide { (SIZE.0 - 2.0, "end") } else { (SIZE.0 - self.right + 5.0, "start") };
            let (y, text) = (y + 4.0, escaped(text));
            format!("<text class=\"label {class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>\n")
        };
        self.labels.iter().map(label).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot {
        let axis = |label| Axis::between(label, 0.0, 1.0);
        Plot::new("key", "About <it>.".to_owned(), axis("x<"), axis("y<"), 60.0)
    }

    #[test]
    fn a_line_is_broken_where_there_is_no_number() {
        let mut plot = plot();
        let points =
            [(0.0, 0.1), (0.2, 0.2), (0.4, f64::NAN), (0.6, 0.3), (0.8, f64::INFINITY), (0.9, 0.1), (1.0, 0.2)];
        plot.line(&points, "one", "label");
        plot.dot((f64::NAN, 0.5), 3.0, "one", "");
        plot.bar((0.0, 1.0), (0.0, f64::NAN), "one");
        plot.rule((0.0, f64::NAN), (1.0, 1.0), "");
        plot.text((0.0, f64::NAN), 0.0, "end", "", "x");
        let svg = plot.figure("Title <b>", "Below.");
        assert_eq!((svg.matches("<polyline").count(), svg.matches("<circle").count()), (2, 1), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("<rect"), "{svg}");
        assert!(svg.contains(">label</text>") && !svg.contains("nothing was measured"), "{svg}");
    }

    #[test]
    fn an_empty_plot_says_so_and_one_point_is_seen() {
        let mut empty = plot();
        empty.line(&[], "one", "label");
        empty.line(&[(f64::NAN, 1.0)], "one", "label");
        let svg = empty.figure("", "");
        assert!(svg.contains(">nothing was measured</text>") && !svg.contains(">label<"), "{svg}");
        assert!(plot().nothing("nothing moved").figure("", "").contains(">nothing moved</text>"));
        let mut single = plot();
        single.line(&[(0.5, 0.5)], "one", "label");
        let svg = single.figure("", "");
        assert!(svg.contains("<circle class=\"dot one\"") && svg.contains(">label</text>"), "{svg}");
    }

    #[test]
    fn it_tells_in_words_what_is_to_be_seen() {
        let svg = plot().figure("Title <b>", "Below <i>.");
        assert!(svg.contains("aria-labelledby=\"key-title key-desc\""), "{svg}");
        assert!(svg.contains("<title id=\"key-title\">Title &lt;b&gt;</title>"), "{svg}");
        assert!(svg.contains("<desc id=\"key-desc\">About &lt;it&gt;.</desc>"), "{svg}");
        assert!(svg.contains("x&lt;") && svg.contains("y&lt;") && svg.contains("Below &lt;i&gt;."), "{svg}");
    }

    #[test]
    fn a_bare_plot_names_no_heights() {
        let names = |plot: Plot| plot.figure("", "").matches("text-anchor=\"end\"").count();
        assert!(names(plot()) > 2);
        assert_eq!(names(plot().bare()), 0);
    }

    #[test]
    fn a_name_that_would_touch_another_is_left_out() {
        let mut plot = plot();
        let named = [(0.5, 0.5), (0.51, 0.5), (0.5, 0.7), (0.5, 1.0), (f64::NAN, 0.0)].map(|at| plot.name(at, "<7>"));
        assert_eq!(named, [true, false, true, true, false]);
        let svg = plot.figure("", "");
        assert_eq!(svg.matches("text-anchor=\"middle\">&lt;7&gt;</text>").count(), 3, "{svg}");
        assert!(svg.contains(" y=\"25.0\""), "{svg}");
    }

    #[test]
    fn labels_do_not_touch_and_stay_within() {
        let mut plot = plot();
        for (height, name) in [(0.0, "a"), (0.01, "b"), (0.02, "c"), (0.99, "<d>"), (1.0, "e")] {
            plot.line(&[(0.0, 0.0), (1.0, height)], "a", name);
        }
        let svg = plot.placed_labels();
        assert!(svg.contains("x=\"305.0\"") && svg.contains("text-anchor=\"start\">&lt;d&gt;"), "{svg}");
        let heights: Vec<f64> = plot.labels.iter().map(|label| label.0).collect();
        assert!(heights.windows(2).all(|pair| pair[1] - pair[0] >= LINE - 1e-9), "{heights:?}");
        assert!(heights.iter().all(|&height| (TOP..=SIZE.1 - BOTTOM).contains(&height)), "{heights:?}");
        plot.line(&[(0.0, 0.0)], "a", "preview p50");
        let svg = plot.placed_labels();
        assert!(svg.contains("text-anchor=\"end\">preview p50</text>"), "{svg}");
    }
}
