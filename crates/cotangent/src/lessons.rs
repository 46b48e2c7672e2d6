//! The README and the lessons of docs/lessons: their programs are compiled and run as tests.

macro_rules! lessons {
    ($($name:ident = $file:literal;)*) => {
        $(#[doc = include_str!(concat!("../../../", $file))] struct $name;)*
    };
}

lessons! {
    Readme = "README.md";
    ForwardPropagation = "docs/lessons/1-forward-propagation.md";
    ChainRule = "docs/lessons/2-chain-rule.md";
    Backpropagation = "docs/lessons/3-backpropagation.md";
    StoreOrRecompute = "docs/lessons/4-store-or-recompute.md";
    Learning = "docs/lessons/5-learning.md";
}
