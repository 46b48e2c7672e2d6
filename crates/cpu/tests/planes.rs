//! Convolutions that read their input where it stood before it was transposed or put together.

mod common;

use common::{inputs_of, plan_of};
use cotangent_compile::{Plan, StepOp};
use cotangent_cpu::Program;

/// The parts that a plan's convolution reads; 0 where it reads its input as it is.
fn parts(plan: &Plan) -> usize {
    let of = |step: &cotangent_compile::Step| match &step.op {
        StepOp::Planes(_, planes) => Some(planes.parts.len()),
        _ => None,
    };
    plan.steps.iter().find_map(of).unwrap_or(0)
}

/// Runs a convolution twice: reading in place what `stored` names, and after that was stored because it
/// is a result, too. The bits are the same.
fn same(parameters: &str, body: &str, conv: &str, stored: &str, expected: usize) {
    for dtype in ["f32", "f64", "i32"] {
        let parameters = parameters.replace("DT", dtype);
        let [place, whole] = ["y".to_owned(), format!("(y, {stored})")].map(|results| {
            plan_of(&format!(
                "fn f({parameters}) {{ {body} let y = {conv}; {results} }}"
            ))
        });
        assert_eq!(parts(&place), expected, "{place}");
        assert_eq!(parts(&whole), 0, "{whole}");
        let at = inputs_of(&place, 3);
        let found = Program::new(place).unwrap().run(&at).unwrap();
        let kept = Program::new(whole).unwrap().run(&at).unwrap();
        assert_eq!(found[0].as_bytes(), kept[0].as_bytes(), "{conv} {dtype}");
    }
}

#[test]
fn images_and_channels_may_have_changed_places() {
    // As in the derivative to a kernel: a large kernel, few places.
    same(
        "x: DT[3, 5, 8, 9], w: DT[4, 3, 8, 9]",
        "let t = transpose(x, axes=[1, 0, 2, 3]);",
        "conv(t, w, padding=[(1, 1), (1, 1)])",
        "t",
        1,
    );
    // Groups, and a view between.
    same(
        "x: DT[3, 2, 5, 8, 9], w: DT[4, 3, 2, 3]",
        "let t = transpose(x, axes=[2, 1, 0, 3, 4]);",
        "conv(reshape(t, shape=[5, 6, 8, 9]), w, groups=2, stride=[2, 1])",
        "t",
        1,
    );
    // A kernel of one element is a product with the planes as they stand.
    same(
        "x: DT[3, 5, 8, 9], w: DT[4, 3, 1, 1]",
        "let t = transpose(x, axes=[1, 0, 2, 3]);",
        "conv(t, w)",
        "t",
        1,
    );
}

#[test]
fn channels_or_images_may_come_from_several_arrays() {
    same(
        "x: DT[3, 5, 8, 9], z: DT[3, 2, 8, 9], w: DT[4, 7, 3, 3]",
        "let t = concat(x, z, axis=1);",
        "conv(t, w, padding=[(1, 1), (0, 1)])",
        "t",
        2,
    );
    same(
        "x: DT[3, 5, 8, 9], z: DT[2, 5, 8, 9], w: DT[4, 5, 3, 3]",
        "let t = concat(x, z, x, axis=0);",
        "conv(t, w, dilation=[2, 1])",
        "t",
        3,
    );
    // Both at a time: what were channels are images.
    same(
        "x: DT[3, 5, 8, 9], z: DT[3, 2, 8, 9], w: DT[4, 3, 8, 9]",
        "let c = concat(x, z, axis=1); let t = transpose(c, axes=[1, 0, 2, 3]);",
        "conv(t, w, padding=[(1, 1), (1, 1)])",
        "t, c",
        2,
    );
}

#[test]
fn what_planes_do_not_say_is_moved_first() {
    for (parameters, body) in [
        // Planes are taken apart.
        ("x: f32[3, 8, 5, 9]", "transpose(x, axes=[0, 2, 1, 3])"),
        // Planes are short.
        ("x: f32[5, 3, 4, 4]", "transpose(x, axes=[1, 0, 2, 3])"),
        // Pieces are put together inside planes.
        ("x: f32[3, 5, 4, 9]", "concat(x, x, axis=2)"),
    ] {
        let plan = plan_of(&format!(
            "fn f({parameters}, w: f32[4, 5, 3, 3]) {{ conv({body}, w) }}"
        ));
        assert_eq!(parts(&plan), 0, "{plan}");
    }
}
