//! The settings of a training run, and the TOML file that changes them.

use cotangent::optim::{Decay, Schedule};
use serde::{Deserialize, Serialize};

/// All settings. A file may set any of them; the others stay as they are for the data at hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The widths of the hidden layers; none is a linear model.
    pub layers: Vec<usize>,
    /// What hidden layers apply.
    pub activation: Activation,
    /// The share of hidden values that are left out at random while training, from 0 to below 1.
    pub dropout: f64,
    /// How much of every label is spread over all classes, from 0 to below 1.
    pub label_smoothing: f64,
    /// What a regression minimises.
    pub loss: Loss,
    /// Shift and scale of the features, fitted on the training rows.
    pub normalize: Normalize,
    /// The numbers that are computed with.
    pub dtype: Precision,
    /// The optimiser.
    #[serde(alias = "optimiser")]
    pub optimizer: Optimizer,
    /// The highest learning rate.
    #[serde(alias = "learning_rate")]
    pub lr: f64,
    /// Momentum of sgd and rmsprop.
    pub momentum: f64,
    /// Nesterov's momentum, for sgd.
    pub nesterov: bool,
    /// Weight decay.
    pub weight_decay: f64,
    /// How the learning rate falls.
    pub schedule: Fall,
    /// Over how many epochs the learning rate rises first.
    pub warmup: f64,
    /// After how many epochs the rate is multiplied by `decay_factor`, in the schedules step and exponential.
    pub decay_every: f64,
    /// What the rate is multiplied by.
    pub decay_factor: f64,
    /// The largest norm of the gradient; 0 is no bound.
    pub clip: f64,
    /// How often every row is seen.
    pub epochs: u64,
    /// How many rows make one step.
    pub batch_size: usize,
    /// The share of rows that are looked at after every epoch.
    pub validation: f64,
    /// The share of rows that are held out to the end.
    pub test: f64,
    /// Which parameters are the result.
    pub keep: Keep,
    /// The seed of the split, the first parameters, the order of rows and the dropout.
    pub seed: u64,
}

macro_rules! choices {
    ($($(#[$meta:meta])* $name:ident { $($choice:ident),* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs)]
        pub enum $name { $($choice),* }
    )*};
}

choices! {
    /// See [`Config::activation`].
    Activation { Relu, LeakyRelu, Elu, Gelu, Silu, Softplus, Sigmoid, Tanh }
    /// See [`Config::loss`].
    Loss { Mse, Mae, Huber }
    /// See [`Config::normalize`]: one scale for each column, one for all, or none.
    Normalize { Columns, Shared, None }
    /// See [`Config::keep`]: those after the last epoch, or after the one with the lowest cost of the validation rows.
    Keep { Last, Best }
    /// See [`Config::dtype`].
    Precision { F32, F64 }
    /// See [`Config::optimizer`].
    Optimizer { Sgd, Adam, Adamw, Rmsprop }
    /// See [`Config::schedule`].
    Fall { Constant, Step, Exponential, Cosine, Linear }
}

impl Default for Config {
    /// For a table of moderate size.
    fn default() -> Config {
        Config {
            layers: vec![64, 64],
            activation: Activation::Silu,
            dropout: 0.1,
            label_smoothing: 0.0,
            loss: Loss::Mse,
            normalize: Normalize::Columns,
            dtype: Precision::F32,
            optimizer: Optimizer::Adamw,
            lr: 0.005,
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.2,
            schedule: Fall::Cosine,
            warmup: 1.0,
            decay_every: 1.0,
            decay_factor: 0.95,
            clip: 0.0,
            epochs: 100,
            batch_size: 32,
            validation: 0.1,
            test: 0.2,
            keep: Keep::Best,
            seed: 0,
        }
    }
}

/// The settings for the digits as TOML, with a word on each.
const DIGITS: &str = "\
layers = [256, 128]      # widths of the hidden layers
activation = \"relu\"      # relu, leaky_relu, elu, gelu, silu, softplus, sigmoid, tanh
dropout = 0.4            # share of hidden values left out while training
label_smoothing = 0.1    # share of every label that is spread over all classes
loss = \"mse\"             # mse, mae, huber: what a regression minimises
normalize = \"shared\"     # columns, shared, none: deviation 1 for each column, or for all together
dtype = \"f32\"            # f32, f64
optimizer = \"sgd\"        # sgd, adam, adamw, rmsprop
lr = 0.05                # the highest learning rate
momentum = 0.9           # for sgd and rmsprop
nesterov = false         # for sgd
weight_decay = 0.0001
schedule = \"cosine\"      # constant, step, exponential, cosine, linear
warmup = 3.0             # epochs over which the learning rate rises
decay_every = 1.0        # epochs after which step and exponential multiply the rate by
decay_factor = 0.95
clip = 0.0               # largest norm of the gradient; 0 is no bound
epochs = 100
batch_size = 32
validation = 0.05        # share of rows looked at after every epoch
test = 0.2               # share of rows held out to the end
keep = \"last\"            # last, best: the parameters after the last epoch, or after that with the lowest
                         # validation loss
seed = 0
";

/// What a file of settings may say, for the help.
pub fn help() -> String {
    let table = |config: Config| toml::Table::try_from(config).unwrap_or_default();
    let digits = table(Config::digits());
    let others: Vec<String> = table(Config::default())
        .into_iter()
        .filter(|(key, value)| digits.get(key) != Some(value) && key != "epochs")
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    format!(
        "Settings (TOML), as they are for the digits:\n\n{DIGITS}\nOther tables start with {}, and with epochs and \
         batch_size by the number of rows.",
        others.join(", ")
    )
}

/// Other names that keys have.
const ALIASES: [(&str, &str); 2] = [("optimiser", "optimizer"), ("learning_rate", "lr")];

impl Config {
    /// For the digits that come with the crate.
    pub fn digits() -> Config {
        Config {
            layers: vec![256, 128],
            activation: Activation::Relu,
            dropout: 0.4,
            label_smoothing: 0.1,
            normalize: Normalize::Shared,
            optimizer: Optimizer::Sgd,
            lr: 0.05,
            momentum: 0.9,
            weight_decay: 1e-4,
            warmup: 3.0,
            epochs: 100,
            validation: 0.05,
            keep: Keep::Last,
            ..Config::default()
        }
    }

    /// For a table with so many rows: about as many steps whatever its size.
    pub fn table(rows: usize) -> Config {
        let batch_size = if rows < 10_000 { 32 } else { 128 };
        let steps = rows.div_ceil(batch_size).max(1) as u64;
        Config {
            batch_size,
            epochs: (8_000 / steps).clamp(10, 200),
            ..Config::default()
        }
    }

    /// These settings with those of a TOML text in their place.
    ///
    /// The error names line and column, or the key whose value is out of range.
    pub fn with(&self, text: &str) -> Result<Config, String> {
        // Read on its own first: only then errors know their line.
        toml::from_str::<Config>(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        let given: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| error.to_string())?;
        let mut all = toml::Table::try_from(self).map_err(|error| error.to_string())?;
        for (key, value) in given {
            let name = ALIASES
                .iter()
                .find(|(alias, _)| *alias == key)
                .map_or(&*key, |(_, name)| *name);
            all.insert(name.to_owned(), value);
        }
        let config: Config = all
            .try_into()
            .map_err(|error: toml::de::Error| error.to_string())?;
        config.check()?;
        Ok(config)
    }

    /// The settings as TOML, which [`Config::with`] takes.
    pub fn to_toml(&self) -> Result<String, String> {
        toml::to_string(self).map_err(|error| error.to_string())
    }

    fn check(&self) -> Result<(), String> {
        const MOST: usize = 1 << 20;
        let share = |x: f64| (0.0..1.0).contains(&x);
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let not_negative = |x: f64| x >= 0.0 && x.is_finite();
        let rules = [
            (
                "layers",
                self.layers.iter().all(|w| (1..=MOST).contains(w)),
                "widths from 1 to 1048576",
            ),
            ("layers", self.layers.len() <= 100, "at most 100 layers"),
            ("dropout", share(self.dropout), "a number from 0 to below 1"),
            (
                "label_smoothing",
                share(self.label_smoothing),
                "a number from 0 to below 1",
            ),
            ("lr", positive(self.lr), "a number above 0"),
            (
                "momentum",
                share(self.momentum),
                "a number from 0 to below 1",
            ),
            (
                "weight_decay",
                not_negative(self.weight_decay),
                "a number of 0 or more",
            ),
            ("warmup", not_negative(self.warmup), "a number of 0 or more"),
            (
                "decay_every",
                positive(self.decay_every),
                "a number above 0",
            ),
            (
                "decay_factor",
                positive(self.decay_factor),
                "a number above 0",
            ),
            ("clip", not_negative(self.clip), "a number of 0 or more"),
            (
                "epochs",
                (1..=1_000_000).contains(&self.epochs),
                "a whole number from 1 to 1000000",
            ),
            (
                "batch_size",
                (1..=MOST).contains(&self.batch_size),
                "a whole number from 1 to 1048576",
            ),
            (
                "validation",
                share(self.validation),
                "a number from 0 to below 1",
            ),
            (
                "seed",
                i64::try_from(self.seed).is_ok(),
                "a whole number from 0 to 9223372036854775807",
            ),
            ("test", share(self.test), "a number from 0 to below 1"),
            (
                "test",
                self.validation + self.test < 1.0,
                "validation and test to leave rows to train on",
            ),
        ];
        match rules.into_iter().find(|(_, good, _)| !good) {
            None => Ok(()),
            Some((key, _, expected)) => Err(format!("`{key}`: expected {expected}")),
        }
    }

    /// The learning rate of every step, with so many steps in an epoch.
    pub fn schedule(&self, steps: u64) -> Schedule {
        let count = |epochs: f64| (epochs * steps as f64).round() as u64;
        let end = self.epochs.saturating_mul(steps);
        let every = count(self.decay_every).max(1);
        let factor = self.decay_factor;
        let decay = match self.schedule {
            Fall::Constant => Decay::Constant,
            Fall::Step => Decay::Step { every, factor },
            Fall::Exponential => Decay::Exponential {
                factor: factor.powf(1.0 / every as f64),
            },
            Fall::Cosine => Decay::Cosine {
                steps: end,
                last: 0.0,
            },
            Fall::Linear => Decay::Linear {
                steps: end,
                last: 0.0,
            },
        };
        // A run that is shorter than its warm-up reaches the highest rate half-way.
        Schedule {
            rate: self.lr,
            warmup: count(self.warmup).min(end / 2),
            decay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_changes_what_it_names() {
        let text =
            "layers = [8]\noptimiser = \"adam\"\nlearning_rate = 1\nseed = 7\ndtype = \"f64\"";
        let config = Config::digits().with(text).unwrap();
        let expected = Config {
            layers: vec![8],
            optimizer: Optimizer::Adam,
            lr: 1.0,
            seed: 7,
            dtype: Precision::F64,
            ..Config::digits()
        };
        assert_eq!(config, expected);
        assert_eq!(Config::digits().with("").unwrap(), Config::digits());
    }

    #[test]
    fn the_help_says_what_is() {
        assert_eq!(Config::default().with(DIGITS).unwrap(), Config::digits());
        let keys = |table: toml::Table| table.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        let all = toml::Table::try_from(Config::digits()).unwrap();
        assert_eq!(keys(DIGITS.parse().unwrap()), keys(all));
        assert!(help().contains("layers = [64, 64]"), "{}", help());
    }

    #[test]
    fn settings_come_back_from_their_text() {
        for config in [
            Config::digits(),
            Config::table(10),
            Config {
                lr: 0.1 + 0.2,
                ..Config::default()
            },
        ] {
            let text = config.to_toml().unwrap();
            assert_eq!(Config::digits().with(&text).unwrap(), config, "{text}");
        }
    }

    #[test]
    fn errors_name_line_or_key() {
        let error = |text: &str| Config::default().with(text).unwrap_err();
        let unknown = error("epochs = 3\nlayer = [8]\n");
        assert!(
            unknown.contains("line 2") && unknown.contains("unknown field `layer`"),
            "{unknown}"
        );
        let wrong = error("\n\nepochs = \"many\"\n");
        assert!(
            wrong.contains("line 3") && wrong.contains("invalid type"),
            "{wrong}"
        );
        let choice = error("activation = \"swish\"");
        assert!(
            choice.contains("line 1") && choice.contains("`relu`"),
            "{choice}"
        );
        let broken = error("epochs = \n");
        assert!(broken.contains("line 1"), "{broken}");
        let cases = [
            (
                "dropout = 1.0",
                "`dropout`: expected a number from 0 to below 1",
            ),
            ("lr = nan", "`lr`: expected a number above 0"),
            ("lr = 0", "`lr`: expected a number above 0"),
            (
                "weight_decay = -1e-3",
                "`weight_decay`: expected a number of 0 or more",
            ),
            ("clip = inf", "`clip`: expected a number of 0 or more"),
            (
                "epochs = 0",
                "`epochs`: expected a whole number from 1 to 1000000",
            ),
            (
                "batch_size = 0",
                "`batch_size`: expected a whole number from 1 to 1048576",
            ),
            (
                "layers = [4, 0]",
                "`layers`: expected widths from 1 to 1048576",
            ),
            (
                "test = 0.95",
                "`test`: expected validation and test to leave rows to train on",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(error(text), expected, "{text}");
        }
        assert!(error("epochs = -1").contains("line 1"));
        assert!(error("lr = 1\nlearning_rate = 2").contains("duplicate field"));
    }

    #[test]
    fn schedules_count_epochs_in_steps() {
        let config = Config {
            lr: 1.0,
            warmup: 2.0,
            epochs: 10,
            ..Config::default()
        };
        let schedule = config.schedule(5);
        assert_eq!(
            (schedule.warmup, schedule.at(9), schedule.at(50)),
            (10, 1.0, 0.0)
        );
        let short = Config {
            epochs: 1,
            ..config.clone()
        };
        assert_eq!(short.schedule(5).warmup, 2);
        let step = Config {
            schedule: Fall::Step,
            warmup: 0.0,
            decay_every: 2.0,
            decay_factor: 0.5,
            ..config
        };
        assert_eq!(
            [0, 9, 10, 20].map(|i| step.schedule(5).at(i)),
            [1.0, 1.0, 0.5, 0.25]
        );
        let exponential = Config {
            schedule: Fall::Exponential,
            ..step
        };
        assert!((exponential.schedule(5).at(10) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn corpus() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/toml");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read(entry.unwrap().path()).unwrap();
            let _ = Config::digits().with(&String::from_utf8_lossy(&text));
            count += 1;
        }
        assert!(count >= 8, "the corpus is missing: {count} files");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text(text in any::<String>()) {
            let _ = Config::default().with(&text);
        }

        #[test]
        fn nearly_settings(text in "((layers|lr|epochs|test|dropout|dtype|x)( = |=|\\.|\")(-?[0-9]{1,19}|[0-9.e-]{1,6}|\\[[0-9, ]*\\]|\"(relu|f32|x)\"|nan|inf|true|\\{\\})\n){0,4}") {
            if let Ok(config) = Config::default().with(&text) {
                let schedule = config.schedule(3);
                prop_assert!((0..5).all(|step| schedule.at(step).is_finite()));
                let written = config.to_toml().unwrap();
                prop_assert_eq!(Config::default().with(&written).unwrap(), config);
            }
        }
    }
}
