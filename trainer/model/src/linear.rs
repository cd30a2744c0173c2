//! A log-odds that is a sum of curves, one a feature.

use ndarray::{Array2, ArrayView1, array};

use crate::ArtifactError;
use crate::scaler::{signed_log, signed_logs};
use crate::tensors::{Reader, Writer, index};

/// What one feature adds: `weight` times the height of a curve at its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Index of the feature.
    pub feature: usize,
    /// By how much the height counts.
    pub weight: f32,
    /// The height where the value is unknown.
    pub unknown: f32,
    /// Places, as [`signed_log`] of the value, and heights of the curve, the places ascending; at least one. It is
    /// straight between two points, and level before the first and after the last.
    pub points: Vec<[f32; 2]>,
}

impl Term {
    /// Height of the curve at a value.
    pub fn height(&self, value: f32) -> f32 {
        self.height_at(value, signed_log(value))
    }

    /// The same, for a value of which the place is known.
    #[inline]
    fn height_at(&self, value: f32, place: f32) -> f32 {
        if value.is_finite() { along(&self.points, place) } else { self.unknown }
    }
}

/// Height at `place` of the line through points with ascending places, at least one; level outside.
pub(crate) fn along(points: &[[f32; 2]], place: f32) -> f32 {
    let above = points.partition_point(|point| point[0] <= place);
    if above == 0 {
        points[0][1]
    } else if above == points.len() {
        points[above - 1][1]
    } else {
        let ([x, y], [to_x, to_y]) = (points[above - 1], points[above]);
        y + (place - x) / (to_x - x) * (to_y - y)
    }
}

/// Checks what [`along`] needs.
pub(crate) fn ascend(points: &[[f32; 2]]) -> bool {
    !points.is_empty() && points.is_sorted_by(|a, b| a[0] < b[0])
}

/// The sum of its terms and a bias. Curves are centred: over the rows of training their mean height is 0, and the bias is
/// the log-odds of a usual row.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// At least one; any number a feature.
    pub terms: Vec<Term>,
    /// What a usual row has.
    pub bias: f32,
}

impl Linear {
    /// Log-odds for the features of one row, NaN or infinite where unknown.
    pub fn score(&self, values: &[f32]) -> f32 {
        self.bias + self.heights(values).map(|(term, height)| term.weight * height).sum::<f32>()
    }

    /// Adds each term to its feature's place, times `factor`: with the bias they sum to [`Linear::score`], which it gives.
    pub(crate) fn contribute(&self, values: &[f32], factor: f32, contributions: &mut [f32]) -> f32 {
        let mut sum = 0.0;
        for (term, height) in self.heights(values) {
            contributions[term.feature] += factor * term.weight * height;
            sum += term.weight * height;
        }
        self.bias + sum
    }

    fn heights(&self, values: &[f32]) -> impl Iterator<Item = (&Term, f32)> {
        let places = signed_logs(values);
        self.terms.iter().map(move |term| (term, term.height_at(values[term.feature], places[term.feature])))
    }

    pub(crate) fn write(&self, name: &str, tensors: &mut Writer) {
        let row = |term: &Term| [term.feature as f32, term.weight, term.unknown, term.points.len() as f32];
        let points: Vec<[f32; 2]> = self.terms.iter().flat_map(|term| term.points.iter().copied()).collect();
        tensors.matrix(&format!("{name}.terms"), &Array2::from(self.terms.iter().map(row).collect::<Vec<_>>()));
        tensors.matrix(&format!("{name}.points"), &Array2::from(points));
        tensors.vector(&format!("{name}.bias"), &array![self.bias]);
    }

    pub(crate) fn read(name: &str, tensors: &Reader<'_>) -> Result<Self, ArtifactError> {
        let [table, line, bias] = ["terms", "points", "bias"].map(|part| format!("{name}.{part}"));
        let (rows, points, bias_of) = (tensors.matrix(&table)?, tensors.matrix(&line)?, tensors.vector(&bias)?);
        let shaped = rows.ncols() == 4 && points.ncols() == 2 && bias_of.len() == 1;
        ArtifactError::unless(shaped, &table, || {
            format!("it has {} columns, its points {}, and {} biases", rows.ncols(), points.ncols(), bias_of.len())
        })?;
        let mut points = points.outer_iter().map(|point| [point[0], point[1]]);
        let term = |row: ArrayView1<'_, f32>| {
            let (feature, count) = (index(&table, row[0])?, index(&table, row[3])?);
            let points: Vec<_> = points.by_ref().take(count).collect();
            ArtifactError::unless(points.len() == count, &line, || "it is too short for its terms".to_owned())?;
            Ok(Term { feature, weight: row[1], unknown: row[2], points })
        };
        let terms = rows.outer_iter().map(term).collect::<Result<_, _>>()?;
        ArtifactError::unless(points.next().is_none(), &line, || "it is too long for its terms".to_owned())?;
        Ok(Self { terms, bias: bias_of[0] })
    }

    pub(crate) fn check(&self, name: &str, features: usize) -> Result<(), ArtifactError> {
        let sound = |term: &Term| term.feature < features && ascend(&term.points);
        let unsound = self.terms.iter().position(|term| !sound(term));
        ArtifactError::unless(!self.terms.is_empty(), name, || "it has no terms".to_owned())?;
        ArtifactError::unless(unsound.is_none(), name, || {
            format!("term {unsound:?} reads none of {features} features, or its points do not ascend")
        })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;
    use safetensors::SafeTensors;

    use super::*;

    fn term(feature: usize, weight: f32, unknown: f32, points: &[[f32; 2]]) -> Term {
        Term { feature, weight, unknown, points: points.to_vec() }
    }

    #[test]
    fn a_curve_is_straight_between_its_points_and_level_beyond() {
        let term = term(0, 1.0, 7.0, &[[0.0, -1.0], [1.0, 1.0], [2.0, 1.5]]);
        let e = std::f32::consts::E;
        for (value, height) in [(-5.0, -1.0), (0.0, -1.0), (e - 1.0, 1.0), (e.sqrt() - 1.0, 0.0), (1e30, 1.5)] {
            assert!((term.height(value) - height).abs() < 1e-6, "at {value}: {}", term.height(value));
        }
        assert_eq!([f32::NAN, f32::INFINITY].map(|value| term.height(value)), [7.0; 2]);
    }

    #[test]
    fn terms_add_up() {
        let flag = [[0.0, 0.0], [2.0_f32.ln(), 1.0]];
        let linear = Linear { terms: vec![term(1, 3.0, 0.5, &flag), term(0, -2.0, 0.0, &flag)], bias: 0.25 };
        assert!((linear.score(&[1.0, 1.0]) - 1.25).abs() < 1e-6);
        assert!((linear.score(&[0.0, f32::NAN]) - 1.75).abs() < 1e-6);
        let mut contributions = [0.0; 3];
        linear.contribute(&[1.0, 1.0, 9.0], 0.5, &mut contributions);
        assert!((contributions[0] + 1.0).abs() < 1e-6 && (contributions[1] - 1.5).abs() < 1e-6);
        assert_eq!(contributions[2], 0.0);
    }

    #[test]
    fn terms_that_cannot_be_read_off_are_refused() {
        let check = |terms| Linear { terms, bias: 0.0 }.check("l", 2).is_ok();
        assert!(check(vec![term(1, 1.0, 0.0, &[[0.0, 0.0]])]));
        assert!(!check(vec![]));
        assert!(!check(vec![term(2, 1.0, 0.0, &[[0.0, 0.0]])]));
        assert!(!check(vec![term(1, 1.0, 0.0, &[])]));
        assert!(!check(vec![term(1, 1.0, 0.0, &[[1.0, 0.0], [1.0, 1.0]])]));
    }

    #[test]
    fn a_line_is_read_off_between_any_two_points() {
        let points = [[1.0, 2.0], [3.0, 6.0], [4.0, 6.0]];
        assert_eq!([0.0, 1.0, 2.0, 3.5, 9.0].map(|place| along(&points, place)), [2.0, 2.0, 4.0, 6.0, 6.0]);
    }

    #[test]
    fn only_tensors_that_fit_each_other_are_read() {
        let read = |terms: Array2<f32>, points: Array2<f32>, bias: Array1<f32>| {
            let mut tensors = Writer::default();
            tensors.matrix("l.terms", &terms);
            tensors.matrix("l.points", &points);
            tensors.vector("l.bias", &bias);
            let bytes = tensors.finish(String::new()).unwrap();
            Linear::read("l", &Reader(SafeTensors::deserialize(&bytes).unwrap()))
        };
        let terms = || array![[1.0, 3.0, 0.5, 2.0], [0.0, -2.0, 0.0, 1.0]];
        let points = || array![[0.0, -1.0], [1.0, 1.0], [0.0, 0.25]];
        let expected = vec![term(1, 3.0, 0.5, &[[0.0, -1.0], [1.0, 1.0]]), term(0, -2.0, 0.0, &[[0.0, 0.25]])];
        let linear = read(terms(), points(), array![0.125]).unwrap();
        assert_eq!(linear, Linear { terms: expected, bias: 0.125 });

        let refused = |terms, points, bias| read(terms, points, bias).unwrap_err().to_string();
        let wide = array![[1.0, 3.0, 0.5, 3.0, 0.0]];
        assert!(refused(wide, points(), array![0.0]).contains("it has 5 columns"));
        assert!(refused(array![[1.0, 3.0, 0.5, 1.0]], array![[0.0, 0.0, 0.0]], array![0.0]).contains("its points 3"));
        assert!(refused(terms(), points(), array![0.0, 0.0]).contains("and 2 biases"));
        assert!(refused(terms(), array![[0.0, -1.0], [1.0, 1.0]], array![0.0]).contains("too short"));
        assert!(refused(array![[1.0, 3.0, 0.5, 2.0]], points(), array![0.0]).contains("too long"));
        assert!(refused(array![[0.5, 3.0, 0.5, 3.0]], points(), array![0.0]).contains("0.5 is no index"));
    }
}
