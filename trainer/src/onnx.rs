//! `model.onnx`: the scaler, the network and its view of a pull request, for whoever runs ONNX Runtime.
//!
//! It says what `prowl-model` says, but for rounding: the operators are the same, and a runtime may sum in another order.
//! Everything is float32 but `ln(1 + x)`: ONNX has no operator that is exact near 0, so it goes through float64.

mod graph;
mod proto;

use prost::Message;
use prowl_model::{CLIP, Dense, Habit, Model, Parts, Scaler, Text};

use graph::{Graph, Value};
use proto::{Element, ModelProto, OperatorSetIdProto, StringStringEntryProto};

/// Name of the file within a model's folder.
pub(crate) const FILE_NAME: &str = "model.onnx";

/// Layout of the file and operators: of 2021, so that runtimes of several years take it.
const IR_VERSION: i64 = 8;
const OPERATORS: i64 = 17;

/// What several parts of the graph need.
struct Constants {
    zero: Value,
    one: Value,
    /// The same as float64.
    wide_one: Value,
    least: Value,
    most: Value,
}

impl Constants {
    fn new(graph: &mut Graph) -> Self {
        Self {
            zero: graph.floats("zero", &[], [0.0]),
            one: graph.floats("one", &[], [1.0]),
            wide_one: graph.double("wide_one", 1.0),
            least: graph.floats("least", &[], [-CLIP]),
            most: graph.floats("most", &[], [CLIP]),
        }
    }
}

/// Values that are scaled, and which of them are known.
struct Scaled {
    values: Value,
    known: Value,
}

/// The bytes of `model.onnx`. The same model gives the same bytes.
///
/// | input, output | shape | |
/// |---|---|---|
/// | `features` | rows × features | raw values; NaN or infinite where unknown |
/// | `text` | rows × dimensions | tf-idf vectors times `text.components`; NaN for an empty text; absent without dimensions |
/// | `scaled` | rows × (features + dimensions) | what the network reads |
/// | `reconstruction` | rows × (features + dimensions) | what it expects |
/// | `score` | rows | how surprising the one is beside the other: the first of the views |
pub fn to_bytes(model: &Model) -> Vec<u8> {
    let Parts { metadata, scaler, text, network, views, .. } = model.parts();
    let inputs = network.inputs();
    let mut graph = Graph::new("prowl");
    let constants = Constants::new(&mut graph);
    let mut scaled = features(&mut graph, &constants, scaler);
    if text.dimensions() > 0 {
        let words = words(&mut graph, &constants, text);
        scaled = Scaled {
            values: graph.beside("inputs", &scaled.values, &words.values),
            known: graph.beside("known", &scaled.known, &words.known),
        };
    }
    let reconstruction = reconstruct(&mut graph, &constants, &network.layers, &scaled.values);
    let score = opinion(&mut graph, &constants, &views.surprise.habits, &scaled, &reconstruction);
    graph.output("scaled", &scaled.values, Some(inputs), "What the network reads; 0 where unknown.");
    graph.output("reconstruction", &reconstruction, Some(inputs), "What the network expects, in the same units.");
    graph.output("score", &score, None, "The network's view of how unusual a row is, at least 0.");

    let property = |key: &str, value: &str| StringStringEntryProto { key: key.to_owned(), value: value.to_owned() };
    let file = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "prowl-trainer".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: "How unusual a pull request is, by what an autoencoder does not reconstruct.".to_owned(),
        graph: Some(graph.finish()),
        opset_import: vec![OperatorSetIdProto { version: OPERATORS }],
        metadata_props: vec![
            property("features_digest", &metadata.features_digest),
            property("version", &metadata.version),
        ],
    };
    file.encode_to_vec()
}

/// What [`prowl_model::Column::scale`] makes of each feature.
fn features(graph: &mut Graph, constants: &Constants, scaler: &Scaler) -> Scaled {
    let columns = &scaler.columns;
    let raw =
        graph.input("features", columns.len(), "Raw values in the order of the list; NaN or infinite where unknown.");
    let ever = graph.flags("features.ever", columns.iter().map(|column| column.known));
    let finite = finite(graph, "features", &raw);
    let known = graph.apply("features.known", "And", &[&finite, &ever]);
    let values = graph.apply("features.values", "Where", &[&known, &raw, &constants.zero]);

    let size = graph.apply("features.size", "Abs", &[&values]);
    let size = log_of_one_plus(graph, constants, "features.log", &size);
    let sign = graph.apply("features.sign", "Sign", &[&values]);
    let logarithm = graph.apply("features.logarithm", "Mul", &[&sign, &size]);
    let logarithmic = graph.flags("features.logarithmic", columns.iter().map(|column| column.logarithmic));
    let values = graph.apply("features.straight", "Where", &[&logarithmic, &logarithm, &values]);

    let centre = graph.floats("features.centre", &[columns.len()], columns.iter().map(|column| column.centre));
    let spread = graph.floats("features.spread", &[columns.len()], columns.iter().map(|column| column.spread));
    let values = scale(graph, constants, "features", [&values, &centre, &spread]);
    Scaled { values: graph.apply("features.inputs", "Where", &[&known, &values, &constants.zero]), known }
}

/// What [`Text::project`] makes of the projection.
fn words(graph: &mut Graph, constants: &Constants, text: &Text) -> Scaled {
    let dimensions = text.dimensions();
    let raw = graph.input("text", dimensions, "Projection of the words; NaN for an empty text.");
    let known = finite(graph, "text", &raw);
    let centre = graph.floats("text.centre", &[dimensions], text.centre.iter().copied());
    let spread = graph.floats("text.spread", &[dimensions], text.spread.iter().copied());
    let values = scale(graph, constants, "text", [&raw, &centre, &spread]);
    Scaled { values: graph.apply("text.inputs", "Where", &[&known, &values, &constants.zero]), known }
}

/// Which values are neither NaN nor infinite.
fn finite(graph: &mut Graph, name: &str, values: &Value) -> Value {
    let nan = graph.apply(&format!("{name}.nan"), "IsNaN", &[values]);
    let infinite = graph.apply(&format!("{name}.infinite"), "IsInf", &[values]);
    let either = graph.apply(&format!("{name}.either"), "Or", &[&nan, &infinite]);
    graph.apply(&format!("{name}.finite"), "Not", &[&either])
}

/// Spreads from the centre, cut off.
fn scale(graph: &mut Graph, constants: &Constants, name: &str, [values, centre, spread]: [&Value; 3]) -> Value {
    let distance = graph.apply(&format!("{name}.distance"), "Sub", &[values, centre]);
    let spreads = graph.apply(&format!("{name}.spreads"), "Div", &[&distance, spread]);
    graph.apply(&format!("{name}.scaled"), "Clip", &[&spreads, &constants.least, &constants.most])
}

/// `ln(1 + values)` of values that are at least 0.
fn log_of_one_plus(graph: &mut Graph, constants: &Constants, name: &str, values: &Value) -> Value {
    let wide = graph.cast(&format!("{name}.wide"), values, Element::Double);
    let sum = graph.apply(&format!("{name}.sum"), "Add", &[&wide, &constants.wide_one]);
    let logarithm = graph.apply(&format!("{name}.ln"), "Log", &[&sum]);
    graph.cast(name, &logarithm, Element::Float)
}

/// What [`prowl_model::Network::reconstruct`] makes of the inputs.
fn reconstruct(graph: &mut Graph, constants: &Constants, layers: &[Dense], inputs: &Value) -> Value {
    let mut values = inputs.clone();
    for (depth, Dense { weights, bias }) in layers.iter().enumerate() {
        let name = |part: &str| format!("network.{depth}.{part}");
        let (rows, columns) = weights.dim();
        let weights = graph.floats(&name("weights"), &[rows, columns], weights.iter().copied());
        let bias = graph.floats(&name("bias"), &[columns], bias.iter().copied());
        let product = graph.apply(&name("product"), "MatMul", &[&values, &weights]);
        values = graph.apply(&name("sum"), "Add", &[&product, &bias]);
        if depth + 1 < layers.len() {
            // x / sqrt(1 + x²)
            let square = graph.apply(&name("square"), "Mul", &[&values, &values]);
            let radicand = graph.apply(&name("radicand"), "Add", &[&square, &constants.one]);
            let root = graph.apply(&name("root"), "Sqrt", &[&radicand]);
            values = graph.apply(&name("activation"), "Div", &[&values, &root]);
        }
    }
    values
}

/// What [`prowl_model::Surprise::opinion`] scores: the root of the weighted mean of the squared surprises.
fn opinion(
    graph: &mut Graph,
    constants: &Constants,
    habits: &[Habit],
    scaled: &Scaled,
    reconstruction: &Value,
) -> Value {
    let error = graph.floats("habits.error", &[habits.len()], habits.iter().map(|habit| habit.error));
    let weight = graph.floats("habits.weight", &[habits.len()], habits.iter().map(|habit| habit.weight));
    let distance = graph.apply("surprise.distance", "Sub", &[&scaled.values, reconstruction]);
    let errors = graph.apply("surprise.errors", "Div", &[&distance, &error]);
    let square = graph.apply("surprise.square", "Mul", &[&errors, &errors]);
    let surprise = log_of_one_plus(graph, constants, "surprise.log", &square);
    let squares = graph.apply("surprise.squares", "Mul", &[&surprise, &surprise]);

    let weights = graph.apply("surprise.weights", "Where", &[&scaled.known, &weight, &constants.zero]);
    let total = graph.sum_of_row("surprise.total", &weights, true);
    let any = graph.apply("surprise.any", "Greater", &[&total, &constants.zero]);
    let divisor = graph.apply("surprise.divisor", "Where", &[&any, &total, &constants.one]);
    let shares = graph.apply("surprise.shares", "Div", &[&weights, &divisor]);
    let parts = graph.apply("surprise.parts", "Mul", &[&shares, &squares]);
    let mean = graph.sum_of_row("surprise.mean", &parts, false);
    graph.apply("surprise.score", "Sqrt", &[&mean])
}
