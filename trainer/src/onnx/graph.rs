//! A graph of ONNX operators as it grows. A value is known by its name; each operator gives one, which is called after it.

use super::proto::{
    AttributeProto, Dimension, DimensionProto, Element, GraphProto, NodeProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};

/// Name of what an input, a constant or an operator gives.
pub(super) type Value = String;

#[derive(Debug)]
pub(super) struct Graph(GraphProto);

impl Graph {
    pub(super) fn new(name: &str) -> Self {
        Self(GraphProto { name: name.to_owned(), ..GraphProto::default() })
    }

    pub(super) fn finish(self) -> GraphProto {
        self.0
    }

    /// A float32 input of shape (rows, `columns`).
    pub(super) fn input(&mut self, name: &str, columns: usize, about: &str) -> Value {
        self.0.input.push(rows(name, Some(columns), about));
        name.to_owned()
    }

    /// Gives `value` out, float32 of shape (rows, `columns`) or (rows), under a name of its own.
    pub(super) fn output(&mut self, name: &str, value: &Value, columns: Option<usize>, about: &str) {
        self.node(name, "Identity", &[value], Vec::new());
        self.0.output.push(rows(name, columns, about));
    }

    /// A float32 constant; an empty shape is that of a single number.
    pub(super) fn floats(&mut self, name: &str, shape: &[usize], values: impl IntoIterator<Item = f32>) -> Value {
        self.constant(name, Element::Float, shape, values.into_iter().flat_map(f32::to_le_bytes).collect())
    }

    /// A boolean constant of shape (length).
    pub(super) fn flags(&mut self, name: &str, values: impl IntoIterator<Item = bool>) -> Value {
        let bytes: Vec<u8> = values.into_iter().map(u8::from).collect();
        self.constant(name, Element::Bool, &[bytes.len()], bytes)
    }

    pub(super) fn double(&mut self, name: &str, value: f64) -> Value {
        self.constant(name, Element::Double, &[], value.to_le_bytes().to_vec())
    }

    fn constant(&mut self, name: &str, element: Element, shape: &[usize], raw_data: Vec<u8>) -> Value {
        let dims = shape.iter().map(|&length| length as i64).collect();
        self.0.initializer.push(TensorProto { dims, data_type: element as i32, name: name.to_owned(), raw_data });
        name.to_owned()
    }

    /// An operator without attributes.
    pub(super) fn apply(&mut self, name: &str, operator: &str, inputs: &[&Value]) -> Value {
        self.node(name, operator, inputs, Vec::new())
    }

    pub(super) fn cast(&mut self, name: &str, value: &Value, to: Element) -> Value {
        self.node(name, "Cast", &[value], vec![AttributeProto::int("to", to as i64)])
    }

    /// Values of the same rows, side by side.
    pub(super) fn beside(&mut self, name: &str, left: &Value, right: &Value) -> Value {
        self.node(name, "Concat", &[left, right], vec![AttributeProto::int("axis", 1)])
    }

    /// The sum of each row: of shape (rows, 1) if `kept`, else (rows).
    pub(super) fn sum_of_row(&mut self, name: &str, value: &Value, kept: bool) -> Value {
        let axes = self.constant(&format!("{name}.axes"), Element::Int64, &[1], 1_i64.to_le_bytes().to_vec());
        self.node(name, "ReduceSum", &[value, &axes], vec![AttributeProto::int("keepdims", i64::from(kept))])
    }

    fn node(&mut self, name: &str, operator: &str, inputs: &[&Value], attribute: Vec<AttributeProto>) -> Value {
        self.0.node.push(NodeProto {
            input: inputs.iter().map(|&input| input.clone()).collect(),
            output: vec![name.to_owned()],
            name: name.to_owned(),
            op_type: operator.to_owned(),
            attribute,
        });
        name.to_owned()
    }
}

/// Says of an input or output that it is float32 of shape (rows, `columns`) or (rows).
fn rows(name: &str, columns: Option<usize>, about: &str) -> ValueInfoProto {
    let columns = columns.map(|columns| Dimension::Value(columns as i64));
    let axes = [Some(Dimension::Param("rows".to_owned())), columns].into_iter().flatten();
    let shape = TensorShapeProto { dim: axes.map(|axis| DimensionProto { value: Some(axis) }).collect() };
    let tensor_type = Some(TensorTypeProto { elem_type: Element::Float as i32, shape: Some(shape) });
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }), doc_string: about.to_owned() }
}
