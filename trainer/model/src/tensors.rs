//! Named tensors in and out of a safetensors file: little-endian `F32`, all finite.

use std::collections::HashMap;

use ndarray::{Array1, Array2};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::ArtifactError;

/// Tensors on their way into a file.
#[derive(Default)]
pub(crate) struct Writer {
    tensors: Vec<(String, Vec<usize>, Vec<u8>)>,
}

impl Writer {
    pub(crate) fn matrix(&mut self, name: &str, matrix: &Array2<f32>) {
        self.add(name, matrix.shape(), matrix.iter());
    }

    pub(crate) fn vector(&mut self, name: &str, vector: &Array1<f32>) {
        self.add(name, vector.shape(), vector.iter());
    }

    fn add<'a>(&mut self, name: &str, shape: &[usize], values: impl Iterator<Item = &'a f32>) {
        let bytes = values.flat_map(|value| value.to_le_bytes()).collect();
        self.tensors.push((name.to_owned(), shape.to_vec(), bytes));
    }

    /// The file, with `metadata` under the key `prowl`. The library sorts the tensors by name, and there is only one
    /// key of metadata, so equal tensors give equal bytes.
    pub(crate) fn finish(self, metadata: String) -> Result<Vec<u8>, safetensors::SafeTensorError> {
        let views: Result<Vec<_>, _> = self
            .tensors
            .iter()
            .map(|(name, shape, bytes)| TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name, view)))
            .collect();
        safetensors::serialize(views?, Some(HashMap::from([(METADATA.to_owned(), metadata)])))
    }
}

/// The index that a float stands for: exact below 2^24.
pub(crate) fn index(name: &str, value: f32) -> Result<usize, ArtifactError> {
    let sound = (0.0..16_777_216.0).contains(&value) && value.fract() == 0.0;
    ArtifactError::unless(sound, name, || format!("{value} is no index"))?;
    Ok(value as usize)
}

/// Key of the metadata in the file.
pub(crate) const METADATA: &str = "prowl";

/// Tensors on their way out of a file.
pub(crate) struct Reader<'a>(pub(crate) SafeTensors<'a>);

impl Reader<'_> {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.tensor(name).is_ok()
    }

    pub(crate) fn matrix(&self, name: &str) -> Result<Array2<f32>, ArtifactError> {
        let (shape, values) = self.values(name)?;
        let [rows, columns] = shape[..] else {
            return Err(ArtifactError::tensor(name, format!("it has {} dimensions and should have 2", shape.len())));
        };
        Array2::from_shape_vec((rows, columns), values).map_err(|error| ArtifactError::tensor(name, error.to_string()))
    }

    pub(crate) fn vector(&self, name: &str) -> Result<Array1<f32>, ArtifactError> {
        let (shape, values) = self.values(name)?;
        if shape.len() == 1 {
            Ok(Array1::from_vec(values))
        } else {
            Err(ArtifactError::tensor(name, format!("it has {} dimensions and should have 1", shape.len())))
        }
    }

    fn values(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), ArtifactError> {
        let view = self.0.tensor(name).map_err(|_| ArtifactError::tensor(name, "it is missing".to_owned()))?;
        if view.dtype() != Dtype::F32 {
            return Err(ArtifactError::tensor(name, format!("its type is {:?} and should be F32", view.dtype())));
        }
        let (quads, _) = view.data().as_chunks::<4>();
        let values: Vec<f32> = quads.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        match values.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(ArtifactError::tensor(name, format!("value {at} is {}", values[at]))),
            None => Ok((view.shape().to_vec(), values)),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn an_index_is_a_whole_number_that_a_float_holds() {
        assert_eq!([0.0, 3.0, 16_777_215.0].map(|value| index("x", value).unwrap()), [0, 3, 16_777_215]);
        for wrong in [-1.0, 0.5, 16_777_216.0, f32::NAN] {
            assert!(index("x", wrong).unwrap_err().to_string().contains("is no index"), "{wrong}");
        }
    }

    #[test]
    fn a_tensor_is_read_with_its_own_dimensions_alone() {
        let (matrix, vector) = (array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], array![7.0]);
        let mut tensors = Writer::default();
        tensors.matrix("m", &matrix);
        tensors.vector("v", &vector);
        let bytes = tensors.finish(String::new()).unwrap();
        let reader = Reader(SafeTensors::deserialize(&bytes).unwrap());
        assert_eq!((reader.matrix("m").unwrap(), reader.vector("v").unwrap()), (matrix, vector));
        assert!(reader.has("m") && !reader.has("x"));
        let refused = [reader.vector("m").map(drop), reader.matrix("v").map(drop), reader.vector("x").map(drop)];
        let says = ["it has 2 dimensions and should have 1", "it has 1 dimensions and should have 2", "it is missing"];
        for (refused, says) in refused.into_iter().zip(says) {
            let message = refused.unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
    }
}
