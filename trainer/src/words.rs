//! Fits the text projection: document frequencies, then the truncated SVD of the training slice's tf-idf matrix.

use ndarray::{Array1, Array2};
use prowl_model::{Text, TextVector};
use rand::{SeedableRng, rngs::ChaCha8Rng};

use crate::{Dataset, Settings, svd};

/// At most this many texts, evenly spread over time, give the directions of the SVD.
const TEXTS: usize = 20_000;

/// The text projection of these rows. Without any token it has no dimension.
pub(crate) fn fit(data: &Dataset, rows: &[usize], settings: &Settings) -> Text {
    let idf = inverse_document_frequency(rows.iter().map(|&row| data.tokens(row)), settings.text_buckets, 1);
    let empty = (Array2::zeros((idf.len(), 0)), Array1::zeros(0));
    let mut text = Text { idf, components: empty.0, centre: empty.1.clone(), spread: empty.1 };

    let texts: Vec<TextVector> =
        rows.iter().step_by(rows.len().div_ceil(TEXTS)).map(|&row| text.vector(data.tokens(row))).collect();
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    text.components = svd::right_vectors(&texts, text.buckets(), settings.text_dimensions, &mut random);

    // Scaled by 1 around 0 first, to see what centre and spread the dimensions have.
    text.centre = Array1::zeros(text.dimensions());
    text.spread = Array1::ones(text.dimensions());
    let projected: Vec<Vec<f32>> = texts.iter().filter_map(|vector| text.project(vector)).collect();
    for dimension in 0..text.dimensions() {
        let values = || projected.iter().map(|values| f64::from(values[dimension]));
        let mean = values().sum::<f64>() / projected.len() as f64;
        let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / projected.len() as f64;
        text.centre[dimension] = mean as f32;
        text.spread[dimension] = if variance > 1e-12 { variance.sqrt() as f32 } else { 1.0 };
    }
    text
}

/// `ln((1 + n) / (1 + df)) + 1` for each bucket that at least `fewest` of these lists of tokens have, `fewest` being above 0;
/// 0 for the others, which say nothing that was learnt.
pub(crate) fn inverse_document_frequency<'a>(
    lists: impl ExactSizeIterator<Item = &'a [u32]>,
    buckets: usize,
    fewest: u32,
) -> Array1<f32> {
    let all = lists.len() as f64;
    let mut documents = vec![0_u32; buckets];
    let mut places = Vec::new();
    for tokens in lists {
        places.clear();
        places.extend(tokens.iter().map(|&token| token as usize % buckets));
        places.sort_unstable();
        places.dedup();
        for &place in &places {
            documents[place] += 1;
        }
    }
    let weight =
        |&count: &u32| if count < fewest { 0.0 } else { (((1.0 + all) / (1.0 + f64::from(count))).ln() + 1.0) as f32 };
    documents.iter().map(weight).collect()
}
