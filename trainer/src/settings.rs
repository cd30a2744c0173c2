//! What can be chosen of a training.

/// The choices. Two trainings with the same settings and rows give the same tensors, bit for bit.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Settings {
    /// Seed of every random choice.
    pub seed: u64,
    /// Rows that are learnt from at most; the newest count.
    pub most_rows: usize,
    /// Epochs at most.
    pub epochs: usize,
    /// Epochs without progress on the validation slice after which training ends.
    pub patience: usize,
    /// Rows of a mini-batch.
    pub batch_size: usize,
    /// Width of the two hidden layers.
    pub hidden: usize,
    /// Width of the code between them.
    pub code: usize,
    /// Step size of Adam.
    pub learning_rate: f32,
    /// Share of itself that a weight loses per step, in units of the learning rate.
    pub weight_decay: f32,
    /// Share of inputs that are hidden in training, 0 to 1.
    pub hide: f32,
    /// Share of the rows, the most unusual by the views that need no network, that the network does not learn from, 0 to
    /// 1.
    pub trim: f64,
    /// Buckets that tokens are hashed into.
    pub text_buckets: usize,
    /// Dimensions that a text becomes.
    pub text_dimensions: usize,
    /// Whether a backtest comes first, whose figures the model has.
    pub backtest: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            most_rows: 200_000,
            epochs: 300,
            patience: 10,
            batch_size: 64,
            hidden: 64,
            code: 16,
            learning_rate: 4e-3,
            weight_decay: 1e-2,
            hide: 0.1,
            trim: 0.02,
            text_buckets: 8192,
            text_dimensions: 24,
            backtest: false,
        }
    }
}
