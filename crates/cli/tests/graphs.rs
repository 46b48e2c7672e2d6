//! `run`, `derive`, `show` and `check` as a user calls them.

mod common;

use std::io::Cursor;

use common::Folder;
use cotangent_array::{Array, DType, npy, npz};

const FILE: &str = "\
// Two functions, of which the second calls the first.
fn squares(x: f64[3]) -> f64[3] { x * x }
fn loss(w: f64[2, 3], x: f64[3]) -> f64 { sum(tanh(w @ squares(x))) }
";

fn npz_file(arrays: &[(&str, Array)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let arrays = arrays.iter().map(|(name, array)| (*name, array));
    npz::write(&mut bytes, arrays, npz::Compression::Deflated).unwrap();
    bytes
}

fn read_npz(bytes: &[u8]) -> Vec<(String, Array)> {
    npz::read(Cursor::new(bytes.to_vec())).unwrap()
}

#[test]
fn run_limits_what_loops_keep() {
    let folder = Folder::new("loop-memory");
    folder.write(
        "f.ct",
        "fn test(x: f64) -> bool { x < 1e9 }
         fn step(x: f64) -> f64 { x * 1.01 }
         fn f(x: f64) -> f64 { while(x, test=test, body=step) }",
    );
    let derived = folder.run(&["derive", "f.ct", "--mode", "grad", "-o", "g.ct"]);
    derived.ok();
    let ran = folder.run(&["run", "g.ct", "--in", "x=1"]);
    let expected = 1.01_f64.powi(2083);
    assert!((ran.ok().trim().parse::<f64>().unwrap() / expected - 1.0).abs() < 1e-9);
    folder
        .run(&["run", "g.ct", "--in", "x=1", "--loop-memory", "1KiB"])
        .fails(1, "at least 1032 bytes are needed, the limit is 1024");
    folder
        .run(&["run", "g.ct", "--in", "x=1", "--loop-memory", "lots"])
        .fails(2, "expected bytes such as 4096");
}

#[test]
fn run_prints_results() {
    let folder = Folder::new("run");
    folder.write("f.ct", FILE);
    let ran = folder.run(&["run", "f.ct", "--fn", "squares", "--in", "x=[1, -2, 3.5]"]);
    assert_eq!(ran.ok(), "[  1.0,   4.0, 12.25]\n");
    let ran = folder.run(&[
        "run",
        "f.ct",
        "--in",
        "w=[[1,0,0],[0,1,0]]",
        "--in",
        "x=[0.5,1,7]",
    ]);
    let expected = 0.25f64.tanh() + 1f64.tanh();
    assert!((ran.ok().trim().parse::<f64>().unwrap() - expected).abs() < 1e-12);
    // Several results, one after the other, in the dtypes they have.
    folder.write(
        "g.ct",
        "fn g(x: f32, i: i64, b: bool) -> (f32, i64, bool) { (x, -i, !b) }",
    );
    let ran = folder.run(&[
        "run",
        "g.ct",
        "--in",
        "x=-1e-3",
        "--in",
        "i=-9007199254740993",
        "--in",
        "b=true",
    ]);
    assert_eq!(ran.ok(), "-0.001\n9007199254740993\nfalse\n");
}

#[test]
fn run_takes_files_and_pipes() {
    let folder = Folder::new("files");
    folder.write("f.ct", FILE);
    let (w, x) = (
        Array::from([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
        Array::from([0.5, 1.0, 7.0]),
    );
    let mut bytes = Vec::new();
    npy::write(&mut bytes, &x).unwrap();
    folder.write("x.npy", &bytes);
    folder.write(
        "in.npz",
        npz_file(&[
            ("w", w.clone()),
            ("x", Array::from([9.0, 9.0, 9.0])),
            ("other", w),
        ]),
    );
    // --in goes before --npz.
    let ran = folder.run(&[
        "run", "f.ct", "--npz", "in.npz", "--in", "x=x.npy", "--out", "out.npz",
    ]);
    assert_eq!(ran.ok(), "");
    let out = read_npz(&folder.read("out.npz"));
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].0, "out0");
    let value = out[0].1.item::<f64>().unwrap();
    assert!((value - 0.25f64.tanh() - 1f64.tanh()).abs() < 1e-12);

    let ran = folder.feed(
        &[
            "run", "-", "--fn", "squares", "--in", "x=x.npy", "--out", "-",
        ],
        FILE.as_bytes(),
    );
    assert_eq!(ran.status, 0);
    assert_eq!(
        read_npz(&ran.bytes),
        [("out0".to_owned(), Array::from([0.25, 1.0, 49.0]))]
    );
    let input = npz_file(&[("x", x)]);
    let ran = folder.feed(&["run", "f.ct", "--fn", "squares", "--npz", "-"], &input);
    assert_eq!(ran.ok(), "[0.25,  1.0, 49.0]\n");
    assert_eq!(folder.files(), ["f.ct", "in.npz", "out.npz", "x.npy"]);
}

#[test]
fn run_says_what_is_wrong() {
    let folder = Folder::new("run-errors");
    folder.write("f.ct", FILE);
    folder.write(
        "gather.ct",
        "fn g(x: f64[3], i: i64[1]) -> f64[1] { gather(x, i, axis=0) }",
    );
    folder.write("x.npy", "no array");
    folder.write(
        "wrong.npz",
        npz_file(&[("x", Array::from([1.0f32, 2.0, 3.0]))]),
    );
    folder.write("bad.npz", "PK");
    let squares = |more: &[&str]| folder.run(&[&["run", "f.ct", "--fn", "squares"], more].concat());
    squares(&[]).fails(
        1,
        "no value for input `x` of `squares`; its inputs are x: f64[3]",
    );
    squares(&["--in", "x=[1, 2]"]).fails(1, "input `x: f64[3]`: expected shape [3], found [2]");
    squares(&["--in", "x=[1, 2, a]"]).fails(1, "expected a value of type f64, found `a`");
    squares(&["--in", "y=1"]).fails(1, "`squares` has no input `y`; its inputs are x: f64[3]");
    squares(&["--in", "x"]).fails(2, "expected NAME=VALUE");
    squares(&["--in", "x=1", "--in", "x=2"]).fails(2, "`x` is given twice");
    squares(&["--in", "x=nothing.npy"]).fails(1, "nothing.npy: ");
    squares(&["--in", "x=x.npy"]).fails(1, "x.npy: ");
    squares(&["--npz", "wrong.npz"])
        .fails(1, "input `x`: expected f64[3], found f32[3] in wrong.npz");
    squares(&["--npz", "bad.npz"]).fails(1, "bad.npz: ");
    squares(&["--in", "x=[1,2,3]", "--out", "no/such/folder.npz"]).fails(1, "no/such/folder.npz: ");
    folder.run(&["run", "f.ct", "--fn", "cube"]).fails(
        1,
        "no function is named `cube`; expected one of squares, loss",
    );
    folder.run(&["run", "nothing.ct"]).fails(1, "nothing.ct: ");
    folder
        .run(&["run", "-", "--npz", "-"])
        .fails(2, "only one of");
    let out = folder.run(&[
        "run",
        "gather.ct",
        "--in",
        "x=[1,2,3]",
        "--in",
        "i=[3]",
        "--out",
        "out.npz",
    ]);
    out.fails(1, "out of range");
    assert!(common::absent(&folder.path("out.npz")));
}

#[test]
fn run_checked_names_the_first_bad_operation() {
    let folder = Folder::new("checked");
    folder.write(
        "f.ct",
        "fn inner(y: f64[2]) -> f64[2] {\n    let a = y - 1;\n    log(a)\n}\nfn f(x: f64[2]) -> f64 { sum(inner(x) * 0) }\n",
    );
    let good = folder.run(&["run", "f.ct", "--checked", "--in", "x=[2, 3]"]);
    assert_eq!(good.ok(), "0.0\n");
    let bad = folder.run(&[
        "run",
        "f.ct",
        "--checked",
        "--in",
        "x=[2, 0.5]",
        "--out",
        "out.npz",
    ]);
    bad.fails(
        1,
        "f.ct:3:5: `log` gives nan at [1], although its operands are finite",
    );
    bad.fails(1, "3 |     log(a)");
    assert!(common::absent(&folder.path("out.npz")));
    // What is not finite at the start is nobody's fault here.
    let given = folder.run(&["run", "f.ct", "--checked", "--in", "x=[inf, 3]"]);
    assert_eq!(given.ok(), "nan\n");
}

/// Halves its float until it is below 1, and takes the logarithm on the way.
const LOOP: &str = "\
fn above(x: f32, low: f32) -> bool { x > low }
fn half(x: f32, low: f32) -> f32 { x / 2 + 0 * log(x - low) }
fn f(x: f32, low: f32) -> f32 { while(x, low, test=above, body=half, carry=1) }
";

#[test]
fn loops_are_looked_into() {
    let folder = Folder::new("loops");
    folder.write("f.ct", LOOP);
    let run = |low: &str| folder.run(&["run", "f.ct", "--checked", "--in", "x=7", "--in", low]);
    assert_eq!(run("low=1").ok(), "0.875\n");
    let nan = folder.run(&[
        "run",
        "f.ct",
        "--checked",
        "--in",
        "x=3e38",
        "--in",
        "low=-3e38",
    ]);
    nan.fails(1, "f.ct:2:");
    nan.fails(1, "`sub` gives inf, although its operands are finite");
    // Derivatives are checked through bodies, too.
    folder.write(
        "scan.ct",
        "fn step(h: f32, x: f32) -> (f32, f32) { let n = tanh(h + x); (n, n * n) }\n\
         fn s(h: f32, x: f32[4]) -> (f32, f32[4]) {\n\
         \x20   let t: (f32, f32[4]) = scan(h, x, body=step, carry=1, scanned=1, length=4);\n\
         \x20   (get(t, index=0), get(t, index=1))\n}\n",
    );
    let checked = folder.run(&["check", "scan.ct", "--fn", "s"]);
    assert_eq!(checked.ok().lines().count(), 6, "{}", checked.out);
}

#[test]
fn run_times() {
    let folder = Folder::new("time");
    folder.write("f.ct", FILE);
    let ran = folder.run(&[
        "run",
        "f.ct",
        "--fn",
        "squares",
        "--in",
        "x=[1,2,3]",
        "--time",
    ]);
    assert_eq!(ran.ok(), "[1.0, 4.0, 9.0]\n");
    assert!(
        ran.err.contains("compile: ") && ran.err.contains("run: "),
        "{}",
        ran.err
    );
    // One line for the one step, and its share is the whole.
    let lines: Vec<&str> = ran.err.lines().collect();
    let head = lines
        .iter()
        .position(|l| l.contains("GFLOP/s") && l.ends_with("step"));
    let step = head.and_then(|head| lines.get(head + 1)).unwrap_or(&"");
    assert!(
        step.contains("100.0%") && step.contains("f64[3]"),
        "{}",
        ran.err
    );
}

#[test]
fn derive_appends_and_chains() {
    let folder = Folder::new("derive");
    folder.write("f.ct", "fn f(x: f64, y: f64) -> f64 { x * x * x * y }");
    let first = folder.run(&["derive", "f.ct", "--mode", "grad", "--wrt", "x"]);
    assert!(
        first.ok().contains("fn f(") && first.out.contains("fn f_grad("),
        "{}",
        first.out
    );
    let second = folder.feed(
        &[
            "derive",
            "-",
            "--mode",
            "grad",
            "--wrt",
            "x",
            "-o",
            "second.ct",
        ],
        first.out.as_bytes(),
    );
    assert_eq!(second.ok(), "");
    let at = ["--in", "x=2", "--in", "y=5"];
    let value = |function: &str| {
        let ran = folder.run(&[&["run", "second.ct", "--fn", function], &at[..]].concat());
        ran.ok().trim().parse::<f64>().unwrap()
    };
    assert_eq!(
        (value("f"), value("f_grad"), value("f_grad_grad")),
        (40.0, 60.0, 60.0)
    );
    // The same derivative again has a name of its own.
    let again = folder.feed(
        &["derive", "-", "--fn", "f", "--mode", "grad"],
        first.out.as_bytes(),
    );
    assert!(again.ok().contains("fn f_grad_2("), "{}", again.out);
}

#[test]
fn every_mode_gives_the_right_numbers() {
    let folder = Folder::new("modes");
    folder.write("f.ct", "fn f(x: f64[2], y: f64) -> f64 { sum(x * x) * y }");
    folder.write("v.ct", "fn v(x: f64[2]) -> f64[2] { x * x }");
    let run = |file: &str, mode: &[&str], at: &[&str]| -> String {
        let derived = folder.run(&[&["derive", file, "--mode"], mode].concat());
        let ran = folder.feed(&[&["run", "-"], at].concat(), derived.ok().as_bytes());
        ran.ok().to_owned()
    };
    let x = ["--in", "x=[1, 2]", "--in", "y=3"];
    assert_eq!(run("f.ct", &["grad", "--wrt", "x"], &x), "[ 6.0, 12.0]\n");
    assert_eq!(run("f.ct", &["grad"], &x), "[ 6.0, 12.0]\n5.0\n");
    assert_eq!(
        run("f.ct", &["grad", "--wrt", "x,y"], &x),
        "[ 6.0, 12.0]\n5.0\n"
    );
    assert_eq!(
        run("f.ct", &["value_and_grad", "--wrt", "y"], &x),
        "15.0\n5.0\n"
    );
    let t = [&x[..], &["--in", "t_x=[1, -1]"]].concat();
    assert_eq!(run("f.ct", &["jvp", "--wrt", "x"], &t), "15.0\n-6.0\n");
    let ct = [&x[..], &["--in", "ct_out0=2"]].concat();
    assert_eq!(run("f.ct", &["vjp", "--wrt", "x"], &ct), "[12.0, 24.0]\n");
    assert_eq!(run("f.ct", &["hvp", "--wrt", "x"], &t), "[ 6.0, -6.0]\n");
    assert_eq!(
        run("f.ct", &["hessian", "--wrt", "x"], &x),
        "[[6.0, 0.0],\n [0.0, 6.0]]\n"
    );
    assert_eq!(
        run("v.ct", &["jacobian"], &["--in", "x=[1, 2]"]),
        "[[2.0, 0.0],\n [0.0, 4.0]]\n"
    );
    let batch = ["--in", "x=[[1, 2], [3, 4], [0, 1]]"];
    assert_eq!(
        run("v.ct", &["vmap", "--size", "3"], &batch),
        "[[ 1.0,  4.0],\n [ 9.0, 16.0],\n [ 0.0,  1.0]]\n"
    );
    let one = ["--in", "x=[[1, 2], [3, 4]]", "--in", "y=3"];
    assert_eq!(
        run("f.ct", &["vmap", "--size", "2", "--wrt", "x"], &one),
        "[15.0, 75.0]\n"
    );
}

#[test]
fn derive_says_what_is_wrong() {
    let folder = Folder::new("derive-errors");
    folder.write("v.ct", "fn v(x: f64[2], i: i64) -> f64[2] { x * x }");
    let derive = |more: &[&str]| folder.run(&[&["derive", "v.ct"], more].concat());
    derive(&["--mode", "grad"]).fails(1, "expected one scalar");
    derive(&["--mode", "jvp", "--wrt", "z"])
        .fails(1, "`v` has no input `z`; its inputs are x: f64[2], i: i64");
    derive(&["--mode", "jvp", "--wrt", "i"])
        .fails(1, "expected a float or a complex dtype to differentiate");
    derive(&["--mode", "speed"]).fails(2, "speed");
    derive(&[]).fails(2, "--mode");
    derive(&["--mode", "vmap"]).fails(2, "--size");
    derive(&["--mode", "jvp", "--size", "3"]).fails(2, "--size is for --mode vmap only");
    derive(&["--mode", "jvp", "-o", "no/such/x.ct"]).fails(1, "no/such/x.ct: ");
    folder.write("bad.ct", "fn f(x: f64) -> f64 {\n    x +\n}\n");
    let bad = folder.run(&["derive", "bad.ct", "--mode", "grad", "-o", "out.ct"]);
    bad.fails(1, "bad.ct:3:1: ");
    bad.fails(1, "3 | }");
    assert_eq!(folder.files(), ["bad.ct", "v.ct"]);
}

#[test]
fn show_is_canonical() {
    let folder = Folder::new("show");
    folder.write("f.ct", FILE);
    let all = folder.run(&["show", "f.ct"]);
    assert!(all.ok().contains(
        "fn squares(x: f64[3]) -> f64[3] {\n    let v0: f64[3] = mul(x, x);\n    v0\n}\n"
    ));
    assert!(all.out.contains("fn loss("));
    let again = folder.feed(&["show", "-"], all.out.as_bytes());
    assert_eq!(again.ok(), all.out);
    let one = folder.run(&["show", "f.ct", "--fn", "squares"]);
    assert!(!one.ok().contains("fn loss("));
}

#[test]
fn show_what_becomes_of_a_function() {
    let folder = Folder::new("show-after");
    folder.write(
        "f.ct",
        "fn f(x: f64[4]) -> f64[4] {\n    let a = 2.0 + 3.0;\n    exp(x * a)\n}\n",
    );
    for pass in cotangent_compile::PASSES {
        let ran = folder.run(&["show", "f.ct", "--after", pass.name]);
        assert!(
            ran.ok().starts_with("fn f(x: f64[4]) -> f64[4] {\n"),
            "{}",
            ran.out
        );
        assert!(ran.out.contains("exp("), "{}", ran.out);
    }
    folder
        .run(&["show", "f.ct", "--after", "magic"])
        .fails(1, "no pass is named `magic`; expected one of ");
    let plan = folder.run(&["show", "f.ct", "--plan"]);
    assert!(
        plan.ok().contains("arena") && plan.out.contains("exp("),
        "{}",
        plan.out
    );
    let residuals = folder.run(&["show", "f.ct", "--residuals"]);
    assert!(
        residuals.ok().contains(
            "r0: f64[4], 32 bytes, exp at f.ct:3:5, for the derivative of exp at f.ct:3:5\n"
        ),
        "{}",
        residuals.out
    );
    assert!(residuals.out.ends_with("32 bytes\n"), "{}", residuals.out);
    folder
        .run(&["show", "f.ct", "--plan", "--residuals"])
        .fails(2, "cannot be used with");
    folder.run(&["show"]).fails(2, "FILE.ct");
}

#[test]
fn show_draws_graphs() {
    let folder = Folder::new("svg");
    folder.write("f.ct", FILE);
    assert_eq!(folder.run(&["show", "f.ct", "--svg", "f.svg"]).ok(), "");
    let file = String::from_utf8(folder.read("f.svg")).unwrap();
    // The function that is called is drawn where it is called; boxes tell their places.
    for text in [
        ">loss<",
        ">squares<",
        ">tanh<",
        ">sum axes 0<",
        ">f64[2, 3]<",
        "f.ct:3:47",
    ] {
        assert!(file.contains(text), "{text}: {file}");
    }
    assert_eq!(folder.run(&["show", "f.ct", "--svg", "-"]).ok(), file);
    let one = folder.run(&["show", "f.ct", "--fn", "squares", "--svg", "-"]);
    assert!(
        one.ok().contains(">squares<") && !one.out.contains(">tanh<"),
        "{}",
        one.out
    );
    // Passes put what is called in place.
    let last = cotangent_compile::PASSES.last().unwrap().name;
    let after = folder.run(&["show", "f.ct", "--after", last, "--svg", "-"]);
    assert!(after.ok().contains(">tanh<"), "{}", after.out);
    folder
        .run(&["show", "f.ct", "--svg", "no/such/folder.svg"])
        .fails(1, "no/such/folder.svg");
    folder
        .run(&["show", "f.ct", "--plan", "--svg", "x.svg"])
        .fails(2, "cannot be used with");
}

#[test]
fn check_explains_zero_gradients() {
    let folder = Folder::new("explain");
    folder.write(
        "f.ct",
        "fn f(x: f64, y: f64, z: f64) -> f64 {\n    let a = floor(x) * y;\n    a + (y - y) * z\n}\n",
    );
    let all = folder.run(&["check", "f.ct", "--explain"]);
    let place = "    f.ct:2:13: `floor` is flat, so its derivative is 0 everywhere\n";
    let zero = "    f.ct:3:17: `mul` multiplies by a factor that is exactly 0\n";
    let out = all.ok();
    assert!(
        out.starts_with(&format!(
            "x: the gradient is zero here\n{place}y: the gradient is"
        )),
        "{out}"
    );
    assert!(
        out.ends_with(&format!("z: the gradient is zero here\n{zero}")),
        "{out}"
    );
    let one = folder.run(&["check", "f.ct", "--explain", "--wrt", "x"]);
    assert_eq!(one.ok(), format!("x: the gradient is zero here\n{place}"));
    folder
        .run(&["check", "f.ct", "--wrt", "x"])
        .fails(2, "--explain");
    folder
        .run(&["check", "f.ct", "--explain", "--wrt", "w"])
        .fails(1, "has no input `w`");
}

#[test]
fn run_checked_names_the_line_of_a_derivative() {
    let folder = Folder::new("derivative");
    folder.write(
        "f.ct",
        "fn inner(x: f64) -> f64 { sqrt(x) }\nfn f(x: f64) -> f64 { inner(x) * 2 }\n",
    );
    let derived = folder.run(&["derive", "f.ct", "--mode", "grad", "-o", "g.ct"]);
    assert_eq!(derived.ok(), "");
    let run = |file: &str| folder.run(&["run", file, "--checked", "--in", "x=0"]);
    assert_eq!(run("f.ct").ok(), "0.0\n");
    // Of a text that is a derivative its own lines are what was written.
    run("g.ct").fails(1, "although its operands are finite");
}

#[test]
fn show_lists_every_operation() {
    use cotangent_graph::ops::{
        ArrayOp, Binary, Compare, Indexed, Linalg, Part, Region, Special, Ternary, Test, Unary,
    };
    let folder = Folder::new("ops");
    let ran = folder.run(&["show", "--ops"]);
    let listed: Vec<&str> = ran
        .ok()
        .lines()
        .filter(|line| !line.starts_with([' ', '#']))
        .collect();
    let mut names: Vec<&str> = ArrayOp::ALL.iter().map(|op| op.0).collect();
    names.extend(Linalg::ALL.iter().map(|op| op.0));
    names.extend(Region::ALL.iter().map(|op| op.0));
    names.extend(Unary::ALL.iter().map(|op| op.row().name));
    names.extend(Indexed::ALL.iter().map(|op| op.row().name));
    names.extend(Binary::ALL.iter().map(|op| op.row().name));
    names.extend(Part::ALL.iter().map(|op| op.row().name));
    names.push("complex");
    names.extend(Compare::ALL.iter().map(|op| op.row().name));
    names.extend(Test::ALL.iter().map(|op| op.row().name));
    names.extend(Ternary::ALL.iter().map(|op| op.row().name));
    names.extend(Special::ALL.iter().map(|op| op.row().name));
    for name in names {
        assert!(listed.contains(&name), "{name} is not listed");
    }
    assert!(ran.out.contains("at the edges: 0 at 0."), "{}", ran.out);
}

#[test]
fn check_passes_right_derivatives() {
    let folder = Folder::new("check");
    folder.write(
        "f.ct",
        "fn f(x: f32[3], i: i64[2], b: bool) -> (f32, f32[2], i64) {\n\
         \x20   let y = select(b, 1.0f32, 2.0f32);\n\
         \x20   (sum(log(x) * sqrt(x)) * y, x[i], sum(i))\n}\n\
         fn kink(x: f64[4]) -> f64 { sum(relu(x) + abs(x - 1)) }\n\
         fn whole(i: i64) -> i64 { i * i }\n",
    );
    folder.write(
        "in.npz",
        npz_file(&[("x", Array::from([0.0, 1.0, -1.0, 2.0]))]),
    );
    let ran = folder.run(&["check", "f.ct"]);
    let lines: Vec<&str> = ran.ok().lines().collect();
    assert!(
        lines.iter().all(|line| line.contains(": ok")),
        "{}",
        ran.out
    );
    assert_eq!(
        lines.iter().filter(|line| line.starts_with("f: ")).count(),
        6,
        "{}",
        ran.out
    );
    assert!(
        lines.contains(&"whole: derivatives: ok (no float to differentiate)"),
        "{}",
        ran.out
    );
    // On the kinks themselves any derivative between the two sides is right.
    let ran = folder.run(&["check", "f.ct", "--fn", "kink", "--npz", "in.npz"]);
    let jvp = "kink: jvp against central differences: ok";
    assert!(
        ran.out.lines().any(|line| line.starts_with(jvp)),
        "{}",
        ran.out
    );
    assert_eq!(
        folder.run(&["check", "f.ct"]).out,
        folder.run(&["check", "f.ct", "--seed", "0"]).out
    );
}

#[test]
fn check_finds_wrong_derivatives() {
    let folder = Folder::new("check-wrong");
    // What stop_gradient hides is a derivative that differences see.
    folder.write(
        "f.ct",
        "fn f(x: f64) -> f64 { x * stop_gradient(x) }\nfn g(x: f64) -> f64 { x * x }",
    );
    let ran = folder.run(&["check", "f.ct"]);
    ran.fails(1, "2 of 12 checks failed");
    assert!(
        ran.out
            .contains("f: jvp against central differences: FAILED"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("g: jvp against central differences: ok"),
        "{}",
        ran.out
    );
    folder.write("never.ct", "fn f(x: f64) -> f64 { log(-x * x) }");
    folder
        .run(&["check", "never.ct"])
        .fails(1, "1 of 2 checks failed");
    folder.write(
        "in.npz",
        npz_file(&[("x", Array::zeros(DType::F64, [2]).unwrap())]),
    );
    let wrong = folder.run(&["check", "f.ct", "--npz", "in.npz"]);
    assert!(
        wrong.out.contains("expected f64, found f64[2]"),
        "{}",
        wrong.out
    );
    assert_eq!(wrong.status, 1);
}

#[test]
fn a_wrong_command_line_is_status_2() {
    let folder = Folder::new("usage");
    folder.run(&[]).fails(2, "Usage");
    folder.run(&["wander"]).fails(2, "wander");
    folder.run(&["run"]).fails(2, "FILE.ct");
    folder
        .run(&["run", "f.ct", "--memory", "much"])
        .fails(2, "expected bytes such as 4096");
    folder
        .run(&["run", "f.ct", "--threads", "none"])
        .fails(2, "--threads");
    folder.run(&["check"]).fails(2, "FILE.ct");
    let help = folder.run(&["--help"]);
    for command in ["train", "run", "derive", "show", "check", "explore"] {
        assert!(
            help.ok().contains(&format!("\n  {command} ")),
            "{}",
            help.out
        );
    }
    folder.run(&["--version"]).ok();
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = Folder::new("pipe");
    let mut child = folder
        .command(&["show", "--ops"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
