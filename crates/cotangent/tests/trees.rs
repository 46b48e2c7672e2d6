//! Trees: derived and of the standard library, their paths, and what they refuse.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use cotangent::tree::{Structure, TreeError, from_leaves};
use cotangent::{Array, Error, Function, Static, Tensor, Tree, zip_map};

#[derive(Clone, Debug, PartialEq, Tree)]
struct Linear<T> {
    w: T,
    b: Option<T>,
}

#[derive(Clone, Debug, PartialEq, Tree)]
struct Pair<T = Tensor>(T, Vec<T>);

#[derive(Clone, Debug, PartialEq, Tree)]
struct Nothing<T>(PhantomData<T>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Relu,
    Tanh,
}

#[derive(Clone, Debug, PartialEq, Tree)]
enum Layer<T> {
    Dense(Linear<T>),
    Scale {
        by: T,
        r#type: T,
    },
    #[allow(dead_code)]
    Flat,
}

#[derive(Clone, Debug, PartialEq, Tree)]
struct Model<const N: usize, A, T>
where
    A: Clone + Eq + std::hash::Hash + std::fmt::Debug + Send + Sync + 'static,
{
    layers: Vec<Layer<T>>,
    heads: [Box<T>; N],
    named: BTreeMap<String, T>,
    #[tree(plain)]
    kind: A,
    width: Static<usize>,
}

fn model() -> Model<2, Kind, f64> {
    Model {
        layers: vec![
            Layer::Dense(Linear {
                w: 1.0,
                b: Some(2.0),
            }),
            Layer::Flat,
            Layer::Scale {
                by: 3.0,
                r#type: 4.0,
            },
            Layer::Dense(Linear { w: 5.0, b: None }),
        ],
        heads: [Box::new(6.0), Box::new(7.0)],
        named: [("a".to_owned(), 8.0), ("b".to_owned(), 9.0)].into(),
        kind: Kind::Relu,
        width: Static(3),
    }
}

#[test]
fn leaves_come_in_order_with_their_paths() {
    let m = model();
    let leaves: Vec<f64> = m.leaves().into_iter().copied().collect();
    assert_eq!(leaves, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    assert_eq!(
        m.paths(),
        [
            "layers.0.0.w",
            "layers.0.0.b",
            "layers.2.by",
            "layers.2.type",
            "layers.3.0.w",
            "heads.0",
            "heads.1",
            "named.a",
            "named.b"
        ]
    );
    assert_eq!(1.0_f64.paths(), [""]);
    assert_eq!(Pair(1.0, vec![2.0]).paths(), ["0", "1.0"]);
}

#[test]
fn mapping_there_and_back_is_the_identity() -> Result<(), TreeError> {
    let m = model();
    let arrays: Model<2, Kind, Array> = m.map(|x| Array::from(*x));
    let back: Model<2, Kind, f64> = arrays.map(|a| a.to_f64s()[0]);
    assert_eq!(back, m);
    let built: Model<2, Kind, f64> = from_leaves(
        &arrays.structure(),
        m.leaves().into_iter().copied().collect(),
    )?;
    assert_eq!(built, m);
    let sum = zip_map(&m, &arrays, |x, a| x + a.to_f64s()[0])?;
    assert_eq!(sum, m.map(|x| 2.0 * x));
    let failed: Result<Model<2, Kind, bool>, Error> = m.try_map(|x| {
        if *x > 4.0 {
            Err(Error::Argument(format!("{x}")))
        } else {
            Ok(true)
        }
    });
    assert_eq!(
        failed.map(|_| ()).map_err(|e| e.to_string()),
        Err("5".to_owned())
    );
    Ok(())
}

#[test]
fn trees_without_leaves_are_trees_of_anything() -> Result<(), TreeError> {
    let none: [Structure; 4] = [
        Tree::<f64>::structure(&()),
        Tree::<f64>::structure(&Static("x")),
        Tree::<f64>::structure(&Nothing(PhantomData::<f64>)),
        Tree::<f64>::structure(&Vec::<f64>::new()),
    ];
    assert!(none.iter().all(|s| s.leaf_count() == 0));
    let f: Nothing<f64> = from_leaves(&none[2], Vec::new())?;
    assert_eq!(f, Nothing(PhantomData));
    Ok(())
}

#[test]
fn another_structure_is_refused_with_its_place() {
    let m = model();
    let leaves: Vec<f64> = vec![0.0; 9];
    let wrong = from_leaves::<f64, Pair<f64>>(&m.structure(), leaves.clone());
    let text = "expected Pair in a tree, found Model of 5 parts";
    assert_eq!(
        wrong.map(|_| ()).map_err(|e| e.to_string()),
        Err(text.to_owned())
    );
    let short = m.with_leaves(leaves[..4].to_vec()).map(|_| ());
    assert_eq!(
        short,
        Err(TreeError::LeafCount {
            expected: 9,
            found: 4
        })
    );
    let long = m.with_leaves(vec![0.0; 10]).map(|_| ());
    assert_eq!(
        long,
        Err(TreeError::LeafCount {
            expected: 9,
            found: 10
        })
    );
    let mut other = m.clone();
    other.layers[3] = Layer::Flat;
    let text = "expected trees of one structure, but at `layers.3` one has Layer::Dense of 1 parts, \
                the other Layer::Flat of 0 parts";
    let error = zip_map(&m, &other, |x, _| *x)
        .map(|_| ())
        .map_err(|e| e.to_string());
    assert_eq!(error, Err(text.to_owned()));
    let mut other = m.clone();
    other.kind = Kind::Tanh;
    let text = "expected trees of one structure, but at `kind` one has Relu, the other Tanh";
    let error = zip_map(&m, &other, |x, _| *x)
        .map(|_| ())
        .map_err(|e| e.to_string());
    assert_eq!(error, Err(text.to_owned()));
    let array = from_leaves::<f64, [f64; 3]>(&[1.0, 2.0].structure(), vec![1.0, 2.0]);
    assert!(array.is_err());
}

#[test]
fn plain_data_is_seen_by_the_function_and_traces_anew() -> Result<(), Error> {
    let f = Function::new(|m: &Model<2, Kind, Tensor>, x: &Tensor| {
        let mut y = x.clone();
        for layer in &m.layers {
            y = match layer {
                Layer::Dense(l) => &y * &l.w + l.b.as_ref().unwrap_or(&y.zeros_like()),
                Layer::Scale { by, r#type } => y * by + r#type,
                Layer::Flat => y,
            };
        }
        let y = match m.kind {
            Kind::Relu => y.relu(),
            Kind::Tanh => y.tanh(),
        };
        let heads = m.heads.iter().fold(y, |y, h| y + &**h);
        m.named.values().fold(heads, |y, v| y + v) * m.width.0 as i64
    });
    let mut m = model().map(|x| Array::from(*x));
    // ((1 * 1 + 2) * 3 + 4) * 5 = 65; + 6 + 7 + 8 + 9 = 95; * 3
    assert_eq!(f.call((m.clone(), 1.0.into()))?, 285.0.into());
    m.kind = Kind::Tanh;
    assert_eq!(f.call((m.clone(), 1.0.into()))?, (31.0 * 3.0).into());
    m.width = Static(1);
    assert_eq!(f.call((m.clone(), 1.0.into()))?, 31.0.into());
    // The gradient is a tree of the same type, plain data included.
    let g = f.grad().call((m.clone(), 1.0.into()))?;
    assert_eq!(
        (g.kind, g.width, g.layers.len()),
        (Kind::Tanh, Static(1), 4)
    );
    assert_eq!(*g.heads[0], 1.0.into());
    Ok(())
}

#[test]
fn results_may_be_any_tree() -> Result<(), Error> {
    let f = Function::new(|x: &Tensor| {
        let parts: BTreeMap<String, (Tensor, Option<Tensor>)> = [
            ("a".to_owned(), (x.sin(), None)),
            ("b".to_owned(), (x.cos(), Some(x * 2.0))),
        ]
        .into();
        (parts, [x.clone(), x.clone()], ())
    });
    let (parts, same, ()) = f.call((0.0.into(),))?;
    assert_eq!(parts["a"], (0.0.into(), None));
    assert_eq!(parts["b"], (1.0.into(), Some(0.0.into())));
    assert_eq!(same, [0.0.into(), 0.0.into()]);
    Ok(())
}
