//! Sparse derivatives: known patterns, the known numbers of groups, values, and size.

use std::time::Instant;

use cotangent_array::Array;
use cotangent_graph::{Graph, eval, parse};
use cotangent_transform::sparse::{
    Coloring, Groups, HessianColoring, Pattern, color_acyclic, color_bidirectional, color_columns,
    color_rows, color_star, hessian_sparsity, sparse_hessian, sparse_jacobian, sparsity,
};

fn graph(text: &str) -> Graph {
    parse(text).unwrap().entry().clone()
}

fn entries(p: &Pattern) -> Vec<(usize, usize)> {
    p.iter().collect()
}

fn pattern(text: &str) -> Pattern {
    let g = graph(text);
    let wrt: Vec<bool> = g.input_types().iter().map(|t| t.dtype.is_float()).collect();
    sparsity(&g, &wrt, &[]).unwrap()
}

fn at(text: &str, inputs: &[Array]) -> Pattern {
    let g = graph(text);
    let wrt: Vec<bool> = g.input_types().iter().map(|t| t.dtype.is_float()).collect();
    let known: Vec<Option<Array>> = inputs.iter().cloned().map(Some).collect();
    sparsity(&g, &wrt, &known).unwrap()
}

fn band(n: usize, k: usize) -> Pattern {
    let near = |i: usize| (i.saturating_sub(k)..(i + k + 1).min(n)).map(move |j| (i, j));
    Pattern::new(n, n, (0..n).flat_map(near)).unwrap()
}

fn arrow(n: usize) -> Pattern {
    let all = (0..n).flat_map(|i| [(i, i), (0, i), (i, 0)]);
    Pattern::new(n, n, all).unwrap()
}

/// Each point of a grid and its neighbours along the axes.
fn stencil(dims: &[usize]) -> Pattern {
    let n: usize = dims.iter().product();
    let mut all = Vec::new();
    for v in 0..n {
        all.push((v, v));
        let mut width = 1;
        for d in dims.iter().rev() {
            let i = v / width % d;
            if i > 0 {
                all.push((v, v - width));
            }
            if i + 1 < *d {
                all.push((v, v + width));
            }
            width *= d;
        }
    }
    Pattern::new(n, n, all).unwrap()
}

fn is_column_coloring(p: &Pattern, groups: &Groups) -> bool {
    (0..p.rows()).all(|i| {
        let mut seen: Vec<_> = p.row(i).iter().map(|j| groups.group(*j as usize)).collect();
        seen.sort_unstable();
        seen.windows(2).all(|w| w[0] != w[1]) && !seen.contains(&None)
    })
}

/// By the definition: neighbours differ, and no path over four vertices has two colours.
fn is_star(p: &Pattern, g: &Groups) -> bool {
    let color = |v: usize| g.group(v).unwrap();
    let next = |v: usize| {
        p.row(v)
            .iter()
            .map(|w| *w as usize)
            .filter(move |w| *w != v)
    };
    (0..p.rows()).all(|a| {
        next(a).all(|b| {
            color(a) != color(b)
                && next(b).filter(|c| *c != a).all(|c| {
                    next(c)
                        .filter(|d| *d != b && *d != a)
                        .all(|d| color(a) != color(c) || color(b) != color(d))
                })
        })
    })
}

/// By the definition: the edges between any two colours are a forest.
fn is_acyclic(p: &Pattern, g: &Groups) -> bool {
    let color = |v: usize| g.group(v).unwrap();
    for a in 0..g.count() {
        for b in 0..a {
            let mut root: Vec<usize> = (0..p.rows()).collect();
            for (v, w) in p.iter().filter(|(v, w)| v < w) {
                if color(v) == color(w) {
                    return false;
                }
                if (color(v), color(w)) != (a, b) && (color(v), color(w)) != (b, a) {
                    continue;
                }
                let find = |mut x: usize| {
                    while root[x] != x {
                        x = root[x];
                    }
                    x
                };
                let (x, y) = (find(v), find(w));
                if x == y {
                    return false;
                }
                root[x] = y;
            }
        }
    }
    true
}

#[test]
fn patterns_of_operations() {
    let p = pattern("fn f(x: f64[4]) -> f64[3] { x[1:4] * x[0:3] }");
    assert_eq!(
        entries(&p),
        [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 3)]
    );
    let p = pattern("fn f(x: f64[3]) -> f64[3] { cumsum(sin(x), axis=0) }");
    assert_eq!(p.len(), 6);
    let p = pattern("fn f(x: f64[2, 3]) -> f64[2] { sum(x, axes=[1]) }");
    assert_eq!(
        entries(&p),
        [(0, 0), (0, 1), (0, 2), (1, 3), (1, 4), (1, 5)]
    );
    // A row of a matrix and a column of the other.
    let p = pattern("fn f(a: f64[2, 2], b: f64[2, 2]) -> f64[2, 2] { a @ b }");
    assert_eq!(p.row(1), [0, 1, 5, 7]);
    // What has no derivative depends on nothing.
    let p = pattern("fn f(x: f64[2]) -> f64[2] { floor(x) + stop_gradient(x) + sign(x) }");
    assert!(p.is_empty());
    let p = pattern("fn f(x: f64[5]) -> f64[2] { window_sum(x, window=[3], stride=[2]) }");
    assert_eq!(
        entries(&p),
        [(0, 0), (0, 1), (0, 2), (1, 2), (1, 3), (1, 4)]
    );
    let p = pattern(
        "fn f(x: f64[2]) -> f64[2] { -x[::-1] }"
            .replace("[::-1]", "")
            .as_str(),
    );
    assert_eq!(p.len(), 2);
}

#[test]
fn matrices_of_a_batch_depend_on_their_own_entries() {
    let p = pattern("fn f(a: f64[2, 2, 2]) -> f64[2, 2, 2] { cholesky(a) }");
    assert_eq!(p.len(), 2 * 4 * 4);
    assert!(p.contains(0, 3) && p.contains(7, 4) && !p.contains(0, 4));
    let p = pattern("fn f(a: f64[3, 2, 2]) -> f64[3] { get(slogdet(a), index=1) }");
    assert_eq!(p.row(1), [4, 5, 6, 7]);
}

#[test]
fn zeros_of_the_graph_itself_are_gaps() {
    let p = pattern("fn f(x: f64[3]) -> f64[3] { x * constant([1.0, 0.0, 2.0]) }");
    assert_eq!(entries(&p), [(0, 0), (2, 2)]);
    let p = pattern("fn f(x: f64[2]) -> f64[2] { constant([[1.0, 0.0], [3.0, 4.0]]) @ x }");
    assert_eq!(entries(&p), [(0, 0), (1, 0), (1, 1)]);
    let cross = "[[[[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]]]";
    let p = pattern(&format!(
        "fn f(x: f64[1, 1, 4, 5]) -> f64[1, 1, 4, 5] {{ conv(x, constant({cross}), padding=[(1, 1), (1, 1)]) }}"
    ));
    assert_eq!(p, stencil(&[4, 5]));
    // A zero in an input is no gap: it may be another number at the next point.
    let p = at(
        "fn f(x: f64[2], y: f64[2]) -> f64[2] { x * y }",
        &[Array::from([0.0, 0.0]), Array::from([0.0, 0.0])],
    );
    assert_eq!(p.len(), 4);
}

#[test]
fn decisions_are_taken_at_a_point() {
    let gather = "fn f(x: f64[3], i: i64[2]) -> f64[2] { gather(x, i, axis=0) }";
    assert_eq!(pattern(gather).len(), 6);
    let x = Array::from([1.0, 2.0, 3.0]);
    let p = at(gather, &[x.clone(), Array::from([2_i64, 0])]);
    assert_eq!(entries(&p), [(0, 2), (1, 0)]);
    // The indices alone are enough.
    let p = sparsity(
        &graph(gather),
        &[true, false],
        &[None, Some(Array::from([2_i64, 0]))],
    );
    assert_eq!(entries(&p.unwrap()), [(0, 2), (1, 0)]);
    let scatter = "fn f(x: f64[2], i: i64[2]) -> f64[3] { scatter_add(x, i, shape=[3], axis=0) }";
    assert_eq!(pattern(scatter).len(), 6);
    let p = at(scatter, &[Array::from([1.0, 2.0]), Array::from([1_i64, 1])]);
    assert_eq!(entries(&p), [(1, 0), (1, 1)]);
    let select = "fn f(x: f64[2], y: f64[2]) -> f64[2] { select(x > y, x, y) }";
    assert_eq!(pattern(select).len(), 4);
    let two = [Array::from([1.0, 2.0]), Array::from([2.0, 1.0])];
    assert_eq!(entries(&at(select, &two)), [(0, 2), (1, 1)]);
    let max = "fn f(x: f64[3]) -> f64 { max(x, axes=[0]) }";
    assert_eq!(pattern(max).len(), 3);
    assert_eq!(entries(&at(max, std::slice::from_ref(&x))), [(0, 2)]);
    let pool = "fn f(x: f64[4]) -> f64[2] { window_max(x, window=[2], stride=[2]) }";
    assert_eq!(pattern(pool).len(), 4);
    let p = at(pool, &[Array::from([1.0, 2.0, 4.0, 3.0])]);
    assert_eq!(entries(&p), [(0, 1), (1, 2)]);
    let branch = "fn a(x: f64[2]) -> f64[2] { x } fn b(x: f64[2]) -> f64[2] { x[0:1] + x }
        fn f(x: f64[2]) -> f64[2] { cond(x[0] > 1.0, x, then=a, otherwise=b) }";
    assert_eq!(pattern(branch).len(), 3);
    assert_eq!(at(branch, &[Array::from([2.0, 0.0])]).len(), 2);
    let e = sparsity(
        &graph(gather),
        &[true, false],
        &[Some(x), Some(Array::from([7_i64, 0]))],
    );
    let message = e.unwrap_err().to_string();
    assert!(
        message.contains("gather") && message.contains('7'),
        "{message}"
    );
}

#[test]
fn loops_are_followed_step_by_step() {
    let text = "fn step(c: f64, x: f64) -> (f64, f64) { (c + x, c * x) }
        fn f(x: f64[4]) -> f64[4] { let r = scan(0.0, x, body=step, carry=1); get(r, index=1) }";
    let p = pattern(text);
    // The first product has a factor of 0, which the graph itself says.
    assert!(p.row(0).is_empty());
    assert_eq!(p.len(), 9);
    assert_eq!(p.row(2), [0, 1, 2]);
    // How long it runs is not known: each step may shift once more.
    let text = "fn test(x: f64[3], n: i64) -> bool { n > 0 }
        fn step(x: f64[3], n: i64) -> (f64[3], i64) { (concat(x[1:3], x[0:1], axis=0), n - 1) }
        fn f(x: f64[3], n: i64) -> f64[3] { let r = while(x, n, test=test, body=step, carry=2); get(r, index=0) }";
    assert_eq!(pattern(text).len(), 9);
    let p = at(text, &[Array::from([1.0, 2.0, 3.0]), Array::from(1_i64)]);
    assert_eq!(entries(&p), [(0, 1), (1, 2), (2, 0)]);
}

#[test]
fn hessians_have_entries_where_something_is_not_linear() {
    let of = |text: &str| hessian_sparsity(&graph(text), &[true], &[]).unwrap();
    assert!(of("fn f(x: f64[3]) -> f64 { sum(2.0 * x + 1.0) }").is_empty());
    assert_eq!(of("fn f(x: f64[3]) -> f64 { sum(x * x) }").len(), 3);
    let chained =
        "fn f(x: f64[5]) -> f64 { sum((x[1:5] - x[0:4] * x[0:4]) ** 2.0 + (1.0 - x[0:4]) ** 2.0) }";
    assert_eq!(of(chained), band(5, 1));
    let product = "fn f(x: f64[3]) -> f64 { x[0] * x[2] + exp(x[1]) }";
    assert_eq!(entries(&of(product)), [(0, 2), (1, 1), (2, 0)]);
}

#[test]
fn bands_take_as_many_columns_as_a_row_has_entries() {
    for k in 0..5 {
        let p = band(60, k);
        let groups = color_columns(&p);
        assert_eq!(groups.count(), 2 * k + 1);
        assert!(is_column_coloring(&p, &groups));
        assert_eq!(color_rows(&p).count(), 2 * k + 1);
    }
}

#[test]
fn arrows() {
    let p = arrow(50);
    assert_eq!(color_columns(&p).count(), 50);
    assert_eq!(color_bidirectional(&p).count(), 3);
    for p in [arrow(50), turned(&arrow(50))] {
        let star = color_star(&p).unwrap();
        assert!(star.count() == 2 && is_star(&p, &star));
        let acyclic = color_acyclic(&p).unwrap();
        assert!(acyclic.count() == 2 && is_acyclic(&p, &acyclic));
    }
}

/// The point of the arrow at the other end.
fn turned(p: &Pattern) -> Pattern {
    let n = p.rows();
    Pattern::new(n, n, p.iter().map(|(i, j)| (n - 1 - i, n - 1 - j))).unwrap()
}

#[test]
fn tridiagonal_hessians() {
    let p = band(40, 1);
    let star = color_star(&p).unwrap();
    assert!(star.count() == 3 && is_star(&p, &star));
    let acyclic = color_acyclic(&p).unwrap();
    assert!(acyclic.count() == 2 && is_acyclic(&p, &acyclic));
}

/// Columns: a row of an inner point has 5 entries (7 in space), and no fewer groups can do. Acyclic:
/// a square of 4 points is a cycle, so 2 do not do. Star: 5 are needed from 4 by 4 on (Fertin,
/// Raspaud and Reed, Star coloring of graphs, 2004).
#[test]
fn stencils_take_the_least_number_of_groups() {
    for dims in [
        [4, 4],
        [5, 7],
        [6, 12],
        [10, 10],
        [16, 16],
        [30, 17],
        [7, 25],
    ] {
        let p = stencil(&dims);
        let groups = color_columns(&p);
        assert_eq!(groups.count(), 5, "{dims:?}");
        assert!(is_column_coloring(&p, &groups));
        let acyclic = color_acyclic(&p).unwrap();
        assert!(acyclic.count() == 3 && is_acyclic(&p, &acyclic), "{dims:?}");
        let star = color_star(&p).unwrap();
        assert!(
            star.count() == 5 && is_star(&p, &star),
            "{dims:?}: {}",
            star.count()
        );
    }
    let p = stencil(&[5, 6, 7]);
    let groups = color_columns(&p);
    assert!(groups.count() == 7 && is_column_coloring(&p, &groups));
}

#[test]
fn colorings_of_random_patterns_are_valid() {
    let mut state = 0x1234_5678_9abc_def1_u64;
    let mut below = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % n
    };
    for round in 0..300 {
        let (m, n) = (1 + below(14), 1 + below(14));
        let count = below(3 * m.max(n)) + round % 2;
        let all: Vec<_> = (0..count).map(|_| (below(m), below(n))).collect();
        let p = Pattern::new(m, n, all).unwrap();
        assert_eq!(p.transpose().transpose(), p);
        assert!(is_column_coloring(&p, &color_columns(&p)));
        let both = color_bidirectional(&p);
        assert!(both.count() <= color_columns(&p).count().min(color_rows(&p).count()));
        for (i, j) in p.iter() {
            let c = both.columns.group(j);
            let by_column = c.is_some()
                && p.row(i)
                    .iter()
                    .filter(|k| both.columns.group(**k as usize) == c)
                    .count()
                    == 1;
            let r = both.rows.group(i);
            let turned = p.transpose();
            let by_row = r.is_some()
                && turned
                    .row(j)
                    .iter()
                    .filter(|k| both.rows.group(**k as usize) == r)
                    .count()
                    == 1;
            assert!(by_column || by_row);
        }
        let with_diagonal = (0..n.min(m))
            .map(|i| (i, i))
            .chain(p.iter().filter(|(i, j)| i.max(j) < &n.min(m)));
        let square = Pattern::new(n.min(m), n.min(m), with_diagonal)
            .unwrap()
            .symmetric()
            .unwrap();
        let (star, acyclic) = (
            color_star(&square).unwrap(),
            color_acyclic(&square).unwrap(),
        );
        assert!(is_star(&square, &star), "{square:?} {star:?}");
        assert!(is_acyclic(&square, &acyclic), "{square:?} {acyclic:?}");
    }
}

#[test]
fn hessians_by_substitution() {
    // A tree of paths, so that several levels are met; each variable also for itself.
    let n = 40;
    let mut text = String::from("fn f(x: f64[40]) -> f64 {\n let s0 = sum(x * x);\n");
    for i in 1..n {
        let p = if i % 3 == 0 { i / 3 } else { i - 1 };
        text += &format!(
            " let s{i} = s{} + sin(x[{i}]) * exp(0.1 * x[{p}]) * {i}.0;\n",
            i - 1
        );
    }
    text += &format!(" s{}\n}}", n - 1);
    let g = graph(&text);
    let p = hessian_sparsity(&g, &[true], &[]).unwrap();
    let star = sparse_hessian(&g, &[true], &p, HessianColoring::Star).unwrap();
    let acyclic = sparse_hessian(&g, &[true], &p, HessianColoring::Acyclic).unwrap();
    assert!(acyclic.columns <= star.columns);
    let x = Array::from((0..n).map(|i| (i as f64 * 0.37).sin()).collect::<Vec<_>>());
    let values = |g: &Graph| eval(g, std::slice::from_ref(&x)).unwrap()[0].to_f64s();
    let (a, b) = (values(&star.graph), values(&acyclic.graph));
    assert_eq!(a.len(), p.len());
    for (x, y) in a.iter().zip(&b) {
        assert!((x - y).abs() <= 1e-11 * (1.0 + x.abs()), "{x} {y}");
    }
}

#[test]
fn errors_say_what_was_expected() {
    let g = graph("fn f(x: f64[3]) -> f64[2] { x[0:2] }");
    let small = Pattern::new(2, 2, []).unwrap();
    let e = sparse_jacobian(&g, &[true], &small, Coloring::Auto)
        .unwrap_err()
        .to_string();
    assert_eq!(
        e,
        "`f`: expected a pattern of the Jacobian, 2 rows and 3 columns, found 2 rows and 2 columns"
    );
    let e = Pattern::new(2, 2, [(0, 2)]).unwrap_err().to_string();
    assert_eq!(
        e,
        "expected entries of a matrix of 2 rows and 2 columns, found (0, 2)"
    );
    let e = color_star(&Pattern::new(2, 3, []).unwrap())
        .unwrap_err()
        .to_string();
    assert_eq!(e, "expected a square matrix, found 2 rows and 3 columns");
    // Nothing to compute is no error.
    let g = graph("fn f(x: f64[3]) -> f64[2] { floor(x[0:2]) }");
    let p = sparsity(&g, &[true], &[]).unwrap();
    let s = sparse_jacobian(&g, &[true], &p, Coloring::Auto).unwrap();
    assert_eq!(
        eval(&s.graph, &[Array::from([1.0, 2.0, 3.0])]).unwrap()[0].len(),
        0
    );
}

/// The bound is loose, for slow machines and builds without optimisation.
#[test]
fn large_patterns_take_little_time() {
    let start = Instant::now();
    let n = 100_000;
    let g = graph(&format!(
        "fn f(x: f64[{n}]) -> f64[{m}] {{ let l = x[0:{m}]; let r = x[2:{n}]; let c = x[1:{e}]; sin(l) * c - exp(r) * (c + l) + cumsum(0.0 * c, axis=0) }}",
        m = n - 2,
        e = n - 1
    ));
    let p = sparsity(&g, &[true], &[]).unwrap();
    assert_eq!(p.len(), 3 * (n - 2));
    assert_eq!(color_columns(&p).count(), 3);
    eprintln!("a band over {n} inputs: {:.2?}", start.elapsed());
    let mut text = String::from("fn f(x: f64) -> f64 {\n let y0 = x;\n");
    for i in 0..100_000 {
        text += &format!(" let y{} = sin(y{i});\n", i + 1);
    }
    let long = graph(&(text + " y100000\n}"));
    let before = Instant::now();
    assert_eq!(sparsity(&long, &[true], &[]).unwrap().len(), 1);
    eprintln!("a chain of 100000 operations: {:.2?}", before.elapsed());
    // All prefixes at once hold 5 * 10^9 numbers.
    let sums = graph(&format!(
        "fn f(x: f64[{n}]) -> f64 {{ sum(cumsum(x, axis=0)) }}"
    ));
    assert_eq!(sparsity(&sums, &[true], &[]).unwrap().len(), n);
    let before = Instant::now();
    let p = arrow(n);
    assert_eq!(color_bidirectional(&p).count(), 3);
    assert_eq!(color_star(&p).unwrap().count(), 2);
    assert_eq!(color_acyclic(&p).unwrap().count(), 2);
    eprintln!("an arrow over {n}: {:.2?}", before.elapsed());
    assert!(start.elapsed().as_secs() < 60);
}
