//! Graphs and their plans as text: tests/plans/NAME.ct holds a graph, NAME.plan the graph after all
//! passes and its plan. BLESS=1 rewrites the plans; the reviewer reads the difference.

use std::path::{Path, PathBuf};

use cotangent_compile::{StepOp, Target, compile, optimize};
use cotangent_graph::Op;
use cotangent_graph::ops::ArrayOp;

#[test]
fn plans_are_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let bless = std::env::var_os("BLESS").is_some();
    let mut graphs: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "ct"))
        .collect();
    graphs.sort();
    assert!(!graphs.is_empty());
    for path in graphs {
        let text = std::fs::read_to_string(&path).unwrap();
        let found = plan_of(&text);
        let expected = path.with_extension("plan");
        if bless {
            std::fs::write(expected, found).unwrap();
            continue;
        }
        let expected = std::fs::read_to_string(expected).unwrap_or_default();
        assert_eq!(found, expected, "{} (BLESS=1 rewrites it)", path.display());
    }
}

fn plan_of(text: &str) -> String {
    let module = cotangent_graph::parse(text).unwrap_or_else(|e| panic!("{}", e.render(text)));
    let graph = module.entry();
    // Some working memory, so that plans show where it stands.
    let target = Target {
        scratch: |step, _, _| {
            if matches!(step, StepOp::Op(Op::Array(ArrayOp::Dot(_)))) {
                100
            } else {
                0
            }
        },
        ..Target::plain()
    };
    let plan = compile(graph, &target).unwrap();
    assert_eq!(plan.check(), Ok(()));
    format!("{}\n{plan}", optimize(graph, None).unwrap())
}

/// A product that two sums read, one of them before something that a region cannot do.
#[test]
fn a_product_may_be_read_by_sums_on_both_sides_of_another_step() {
    let text = "fn f(x: f64[2]) -> f64[2] {
        let product = x * 0.5;
        product + polygamma(product + 2.25, n=1)
    }";
    let module = cotangent_graph::parse(text).unwrap_or_else(|e| panic!("{}", e.render(text)));
    let plan = compile(module.entry(), &Target::plain()).unwrap();
    assert_eq!(plan.check(), Ok(()));
}
