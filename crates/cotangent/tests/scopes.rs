//! Operations know which named part of a function they were written in.

use cotangent::nn::{Activation, Init, LayerNorm, Linear, Mlp};
use cotangent::{
    Array, DType, Error, Function, Graph, Key, Tensor, Tree, control, grad, parse, print, scope,
};

/// Scope, operation, and whether it is of a derivative.
fn scopes(graph: &Graph) -> Vec<(String, String, bool)> {
    let operations = graph
        .equations()
        .iter()
        .filter(|e| !e.op.is_input() && !e.op.is_constant());
    operations
        .map(|e| {
            let derivative = e.location.is_some_and(|l| l.is_derivative());
            (e.scope.to_string(), e.op.name().to_owned(), derivative)
        })
        .collect()
}

fn of(graph: &Graph, op: &str) -> Vec<String> {
    let named = scopes(graph).into_iter().filter(|(_, name, _)| name == op);
    named.map(|(scope, ..)| scope).collect()
}

#[derive(Clone, Tree)]
struct Net<T> {
    first: Linear<T>,
    norm: LayerNorm<T>,
    head: Mlp<T>,
    scale: Gain<T>,
}

#[derive(Clone, Tree)]
struct Gain<T> {
    by: T,
}

fn net() -> Result<Net<Array>, Error> {
    let key = Key::new(0);
    let linear = |i: usize, o: usize| Linear::init(&key, i, o, Init::GlorotUniform, DType::F64);
    let net = Net {
        first: linear(4, 5),
        norm: LayerNorm::init(5, DType::F64),
        head: Mlp::init(
            &key,
            &[5, 6, 2],
            Activation::Tanh,
            Init::GlorotUniform,
            DType::F64,
        ),
        scale: Gain {
            by: Tensor::ones((), DType::F64),
        },
    };
    net.try_map(Tensor::to_array)
}

fn loss(net: &Net<Tensor>, x: &Tensor) -> Tensor {
    let h = net.norm.apply(&net.first.apply(x).tanh());
    let y = net.head.apply(&h) * &net.scale.by;
    scope("cost", || y.square().mean(..))
}

#[test]
fn layers_and_parameters_name_their_scopes() {
    let f = Function::new(loss);
    let x = Array::zeros(DType::F64, [3, 4]).unwrap();
    let graph = f.graph(&(net().unwrap(), x)).unwrap();
    assert_eq!(
        of(&graph, "dot"),
        ["first", "head.layers.0", "head.layers.1"]
    );
    // One after the first layer, one between the layers of the head.
    assert_eq!(of(&graph, "tanh"), ["", "head"]);
    assert!(
        scopes(&graph)
            .iter()
            .any(|(s, op, _)| s == "norm" && op == "mul")
    );
    // What reads a field of a struct belongs to what holds it.
    assert!(scopes(&graph).iter().any(|(s, ..)| s == "scale"));
    assert!(of(&graph, "sum").contains(&"cost".to_owned()));
}

#[test]
fn derivatives_passes_and_batches_keep_scopes() {
    let f = Function::new(loss);
    let x = Array::zeros(DType::F64, [3, 4]).unwrap();
    let arguments = (net().unwrap(), x);
    let gradient = f.grad().graph(&arguments).unwrap();
    let dots: Vec<(String, bool)> = (scopes(&gradient).into_iter())
        .filter(|(_, op, _)| op == "dot")
        .map(|(scope, _, derivative)| (scope, derivative))
        .collect();
    for layer in ["first", "head.layers.0", "head.layers.1"] {
        let count = |derivative| {
            dots.iter()
                .filter(|(s, d)| s == layer && *d == derivative)
                .count()
        };
        assert_eq!(count(false), 1, "{layer}");
        assert!(count(true) >= 1, "{layer}");
    }
    let optimized = cotangent_compile::optimize(&gradient, None).unwrap();
    let mut kept = of(&optimized, "dot");
    kept.dedup();
    assert!(kept.contains(&"head.layers.1".to_owned()), "{kept:?}");
    let jacobian = f
        .hvp()
        .graph(&(arguments.clone(), arguments.0.clone()))
        .unwrap();
    assert!(of(&jacobian, "dot").iter().all(|s| !s.is_empty()));
}

#[test]
fn scopes_are_labels_alone() {
    let plain = Function::new(|x: &Tensor| (x.sin() * x).sum(..)).named("f", ["x"]);
    let marked = Function::new(|x: &Tensor| {
        let y = scope("inner", || x.sin());
        (scope("other", || x.sin()) * x + 0.0 * y).sum(..)
    })
    .named("f", ["x"]);
    let x = Array::from([1.0, 2.0]);
    let (a, b) = (
        plain.graph(&(x.clone(),)).unwrap(),
        marked.graph(&(x,)).unwrap(),
    );
    // Equal operations of two scopes are one variable, that of the first.
    assert_eq!(of(&b, "sin"), ["inner"]);
    // The text says nothing of scopes, and what is read back is equal.
    assert_eq!(parse(&print(&b)).unwrap().entry(), &*b);
    let inside = Function::new(|x: &Tensor| scope("s", || (x.sin() * x).sum(..))).named("f", ["x"]);
    let c = inside.graph(&(Array::from([1.0, 2.0]),)).unwrap();
    assert_eq!(
        (&*a, a.fingerprint(), print(&a)),
        (&*c, c.fingerprint(), print(&c))
    );
    assert_ne!(a.fingerprint(), b.fingerprint());
}

#[test]
fn scopes_end_with_a_panic_and_start_anew_in_bodies() {
    let caught = std::panic::catch_unwind(|| scope("lost", || panic!("on purpose")));
    assert!(caught.is_err());
    let f = Function::new(|x: &Tensor| {
        scope("loop", || {
            control::fori_loop(3, |_, c: Tensor| scope("step", || c.sin()), x.clone())
        }) + scope("outer", || {
            grad(|x: &Tensor| scope("inner", || x.exp())).apply((x.clone(),))
        })
    });
    let graph = f.graph(&(Array::from(1.0),)).unwrap();
    assert_eq!(of(&graph, "scan"), ["loop"]);
    assert_eq!(of(&graph, "exp"), ["outer.inner"]);
    let scan = graph
        .equations()
        .iter()
        .find(|e| e.op.name() == "scan")
        .unwrap();
    let body = scan.op.callees().next().unwrap();
    assert_eq!(of(&body.0, "sin"), ["step"]);
    assert_eq!(of(&graph, "add"), [""]);
}
