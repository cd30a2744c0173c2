//! A plot as SVG: one frame with ticks, and marks in it that are labelled where they are. Colours are classes of the page's
//! style, so that it is drawn in light and in dark.

use std::fmt::Write;

use super::html::escaped;

/// Width and height of a plot in its own units, which are about pixels on a narrow screen.
const SIZE: (f64, f64) = (360.0, 230.0);

/// Room for the labels of the vertical axis, and above and below the frame.
const LEFT: f64 = 46.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 38.0;

/// Least distance of two labels.
const LINE: f64 = 13.0;

/// One axis.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    pub(crate) label: &'static str,
    pub(crate) from: f64,
    pub(crate) to: f64,
    /// Whether values are shares, told in percent.
    pub(crate) shares: bool,
}

impl Axis {
    /// Values from 0 on.
    pub(crate) fn up_to(label: &'static str, to: f64) -> Self {
        Self { label, from: 0.0, to: if to > 0.0 && to.is_finite() { to } else { 1.0 }, shares: false }
    }

    /// Shares from 0 on.
    pub(crate) fn share(label: &'static str, to: f64) -> Self {
        Self { shares: true, ..Self::up_to(label, to) }
    }

    /// About `count` round values within.
    fn ticks(&self, count: f64) -> Vec<f64> {
        let rough = (self.to - self.from) / count;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * power);
        let first = (self.from / step - 1e-9).ceil();
        let last = (self.to / step + 1e-9).floor();
        (0..=(last - first).max(0.0) as usize).map(|place| (first + place as f64) * step).collect()
    }

    fn tick(&self, value: f64) -> String {
        let value = if self.shares { 100.0 * value } else { value };
        // As many decimals as it takes, which are few, since ticks are round.
        let text = format!("{value:.4}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        if self.shares { format!("{text}%") } else { text.to_owned() }
    }
}

/// A plot in the making.
#[derive(Debug)]
pub(crate) struct Plot {
    about: String,
    x: Axis,
    y: Axis,
    right: f64,
    left: f64,
    marks: String,
    /// Height, text and class of the labels beside the right end.
    labels: Vec<(f64, String, &'static str)>,
}

impl Plot {
    /// `about` tells in words what is to be seen. `right` is the room for labels beside the right end.
    pub(crate) fn new(about: String, x: Axis, y: Axis, right: f64) -> Self {
        Self { about, x, y, right, left: LEFT, marks: String::new(), labels: Vec::new() }
    }

    /// Without a vertical axis: its values mean nothing.
    pub(crate) fn bare(self) -> Self {
        Self { left: 8.0, ..self }
    }

    fn x(&self, value: f64) -> f64 {
        let part = ((value - self.x.from) / (self.x.to - self.x.from)).clamp(0.0, 1.0);
        self.left + part * (SIZE.0 - self.left - self.right)
    }

    fn y(&self, value: f64) -> f64 {
        let part = ((value - self.y.from) / (self.y.to - self.y.from)).clamp(0.0, 1.0);
        SIZE.1 - BOTTOM - part * (SIZE.1 - TOP - BOTTOM)
    }

    /// A line through points, labelled at its end.
    pub(crate) fn line(&mut self, points: &[(f64, f64)], class: &'static str, label: &str) {
        let places: Vec<String> = points.iter().map(|&(x, y)| format!("{:.1},{:.1}", self.x(x), self.y(y))).collect();
        let Some(&(_, last)) = points.last() else { return };
        if let [only] = points {
            self.dot(*only, 3.0, class, label);
        } else {
            let _ = writeln!(self.marks, "<polyline class=\"line {class}\" points=\"{}\"/>", places.join(" "));
        }
        if !label.is_empty() {
            self.labels.push((self.y(last), label.to_owned(), class));
        }
    }

    /// A dot that tells of itself when it is pointed at.
    pub(crate) fn dot(&mut self, (x, y): (f64, f64), radius: f64, class: &str, tells: &str) {
        let (x, y) = (self.x(x), self.y(y));
        let tells = escaped(tells);
        let _ = writeln!(
            self.marks,
            "<circle class=\"dot {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"><title>{tells}</title></circle>"
        );
    }

    /// A bar over a part of the horizontal axis.
    pub(crate) fn bar(&mut self, (from, to): (f64, f64), (low, high): (f64, f64), class: &str) {
        let (left, right, top, bottom) = (self.x(from), self.x(to), self.y(high), self.y(low));
        let (width, height) = ((right - left).max(0.5), bottom - top);
        let _ = writeln!(
            self.marks,
            "<rect class=\"fill {class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
        );
    }

    /// A thin straight line between two points.
    pub(crate) fn rule(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let (x1, y1, x2, y2) = (self.x(from.0), self.y(from.1), self.x(to.0), self.y(to.1));
        let _ = writeln!(
            self.marks,
            "<line class=\"rule {class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        );
    }

    /// Text beside a point; `anchor` is `start`, `middle` or `end`, the shift is down in the plot's own units.
    pub(crate) fn text(&mut self, (x, y): (f64, f64), shift: f64, anchor: &str, class: &str, text: &str) {
        let (x, y, text) = (self.x(x), self.y(y) + shift, escaped(text));
        let _ = writeln!(
            self.marks,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    /// The plot with its title and a line of text below.
    pub(crate) fn figure(mut self, title: &str, below: &str) -> String {
        let mut frame = String::new();
        let (right, bottom) = (SIZE.0 - self.right, SIZE.1 - BOTTOM);
        let left = self.left;
        let heights = if left < LEFT { Vec::new() } else { self.y.ticks(4.0) };
        for value in heights {
            let (y, text) = (self.y(value), self.y.tick(value));
            let _ = writeln!(
                frame,
                "<line class=\"grid\" x1=\"{left}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                left - 6.0,
                y + 4.0
            );
        }
        for value in self.x.ticks(5.0) {
            let (x, text) = (self.x(value), self.x.tick(value));
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
        let labels = self.placed_labels();
        format!(
            "<figure><figcaption><strong>{}</strong> <span>{}</span></figcaption>\n\
             <svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n{frame}{}{labels}</svg>\n\
             <p class=\"note\">{}</p></figure>\n",
            escaped(title),
            escaped(self.y.label),
            SIZE.0,
            SIZE.1,
            escaped(&self.about),
            self.marks,
            escaped(below)
        )
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
        let x = SIZE.0 - self.right + 5.0;
        let label = |(y, text, class): &(f64, String, &str)| {
            format!("<text class=\"label {class}\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>\n", y + 4.0, escaped(text))
        };
        self.labels.iter().map(label).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        let ticks = |to: f64| Axis::up_to("", to).ticks(5.0).len();
        for to in [0.003, 0.07, 1.0, 9.9, 37.0, 1e6] {
            assert!((3..=7).contains(&ticks(to)), "{to}: {}", ticks(to));
        }
        assert_eq!(Axis::up_to("", 10.0).ticks(5.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!((Axis::share("", 0.1).tick(0.025), Axis::up_to("", 9.0).tick(4.0)), ("2.5%".into(), "4".into()));
        assert_eq!(Axis::up_to("", f64::NAN).to, 1.0);
    }

    #[test]
    fn labels_do_not_touch_and_stay_within() {
        let mut plot = Plot::new(String::new(), Axis::up_to("", 1.0), Axis::up_to("", 1.0), 60.0);
        for (height, name) in [(0.0, "a"), (0.01, "b"), (0.02, "c"), (0.99, "<d>"), (1.0, "e")] {
            plot.line(&[(0.0, 0.0), (1.0, height)], "a", name);
        }
        let svg = plot.placed_labels();
        assert!(svg.contains("&lt;d&gt;"), "{svg}");
        let heights: Vec<f64> = plot.labels.iter().map(|label| label.0).collect();
        assert!(heights.windows(2).all(|pair| pair[1] - pair[0] >= LINE - 1e-9), "{heights:?}");
        assert!(heights.iter().all(|&height| (TOP..=SIZE.1 - BOTTOM).contains(&height)), "{heights:?}");
    }
}
