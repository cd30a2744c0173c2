//! How well the category head does on the rows of the test slice that declare a kind.

use prowl_model::{CategoryHead, Input, Model, Scaler};

use crate::category::most_probable;
use crate::{Dataset, Split};

use super::importance::{self, Importance};
use super::newest;

/// Declared and predicted kinds.
#[derive(Debug)]
pub(crate) struct Kinds {
    /// Names of the rows of the matrix: the classes of the head, then declared ones that it does not know.
    pub(crate) declared: Vec<String>,
    /// Rows that declare the one and are predicted to be the other; shape (declared, classes of the head).
    pub(crate) counts: Vec<Vec<usize>>,
    /// Drop of the accuracy, the largest first.
    pub(crate) importances: Vec<Importance>,
}

impl Kinds {
    /// None without a head or a row to judge it by.
    pub(crate) fn of(data: &Dataset, model: &Model, split: &Split, seed: u64) -> Option<Self> {
        let head = model.parts().category.as_ref()?;
        let scaler = &model.parts().scaler;
        let rows: Vec<usize> = split.test.iter().copied().filter(|&row| data.category(row).is_some()).collect();
        if rows.is_empty() {
            return None;
        }
        let classes = &model.metadata().categories;
        let mut declared = classes.clone();
        let mut unknown: Vec<&str> = rows.iter().filter_map(|&row| data.category(row)).collect();
        unknown.retain(|name| !classes.iter().any(|class| class == name));
        unknown.sort_unstable();
        unknown.dedup();
        declared.extend(unknown.into_iter().map(str::to_owned));
        let mut counts = vec![vec![0; classes.len()]; declared.len()];
        for &row in &rows {
            let place = declared.iter().position(|name| Some(name.as_str()) == data.category(row));
            let predicted = most_probable(head, &scaler.scale(data.row(row)), data.kind_tokens(row));
            counts[place?][predicted] += 1;
        }
        let importances = importances(data, head, scaler, classes, newest(&rows, importance::ROWS), seed);
        Some(Self { declared, counts, importances })
    }

    /// Rows.
    pub(crate) fn rows(&self) -> usize {
        self.counts.iter().flatten().sum()
    }

    /// Rows that declare it.
    pub(crate) fn declaring(&self, class: usize) -> usize {
        self.counts[class].iter().sum()
    }

    /// Share of those predicted to be of a class that declare it; `None` where none is predicted.
    pub(crate) fn precision(&self, class: usize) -> Option<f64> {
        let predicted: usize = self.counts.iter().filter_map(|counts| counts.get(class)).sum();
        (predicted > 0).then(|| self.right(class) as f64 / predicted as f64)
    }

    /// Share of those that declare a class that are predicted so; `None` where none declares it.
    pub(crate) fn recall(&self, class: usize) -> Option<f64> {
        let declared = self.declaring(class);
        (declared > 0).then(|| self.right(class) as f64 / declared as f64)
    }

    fn right(&self, class: usize) -> usize {
        self.counts[class].get(class).copied().unwrap_or(0)
    }
}

/// Drop of the accuracy for each feature that is known, and for the tokens.
fn importances(
    data: &Dataset,
    head: &CategoryHead,
    scaler: &Scaler,
    classes: &[String],
    rows: &[usize],
    seed: u64,
) -> Vec<Importance> {
    let scaled: Vec<Vec<f32>> = rows.iter().map(|&row| scaler.scale(data.row(row))).collect();
    let accuracy = |predicted: &dyn Fn(usize) -> usize| {
        let right = |place: &usize| Some(classes[predicted(*place)].as_str()) == data.category(rows[*place]);
        (0..rows.len()).filter(right).count() as f64 / rows.len() as f64
    };
    let tokens = |place: usize| data.kind_tokens(rows[place]);
    let measured = accuracy(&|place| most_probable(head, &scaled[place], tokens(place)));
    let known = scaler.columns.iter().enumerate().filter(|(_, column)| column.known);
    let mut inputs: Vec<Option<Input>> = known.map(|(feature, _)| Some(Input::Feature(feature))).collect();
    inputs.push(None);
    importance::drops(&inputs, rows.len(), seed, measured, |input, places| {
        accuracy(&|place| match input {
            Some(Input::Feature(feature)) => {
                let mut values = scaled[place].clone();
                values[feature] = scaled[places[place]][feature];
                most_probable(head, &values, tokens(place))
            }
            _ => most_probable(head, &scaled[place], tokens(places[place])),
        })
    })
}
