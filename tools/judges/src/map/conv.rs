//! Convolutions and the patches they see.

use cotangent::{ConvOptions, PadMode, Padding, Tensor};

use super::Table;
use super::tools::{as_i64, one, per_dim, pick};
use crate::args::{Args, Node, Outs, Stop};

pub const TABLE: Table = &[
    (
        &[
            "nn.functional.conv1d",
            "nn.functional.conv2d",
            "nn.functional.conv3d",
        ],
        |a| {
            let (x, weight) = (a.x()?, a.tensor(1, "weight")?);
            let n = weight.rank().saturating_sub(2);
            let padding = match a.node(4, "padding") {
                Node::Text(text) if text == "same" => Padding::Same,
                Node::Text(text) if text == "valid" => Padding::Valid,
                Node::Text(other) => return Err(Stop::Wrong(format!("padding {other}"))),
                Node::Null => Padding::Valid,
                _ => (&per_dim(&a.ints(4, "padding")?, n, &[])?[..]).into(),
            };
            let options = ConvOptions::default()
                .stride(per_dim(
                    &a.opt_ints(3, "stride")?.unwrap_or_default(),
                    n,
                    &[],
                )?)
                .padding(padding)
                .dilation(per_dim(
                    &a.opt_ints(5, "dilation")?.unwrap_or_default(),
                    n,
                    &[],
                )?)
                .groups(groups(a, 6)?);
            one(with_bias(
                x.conv(&weight, &options),
                a.opt_tensor(2, "bias")?,
                n,
            ))
        },
    ),
    (
        &[
            "nn.functional.conv_transpose1d",
            "nn.functional.conv_transpose2d",
            "nn.functional.conv_transpose3d",
        ],
        |a| {
            let (x, weight) = (a.x()?, a.tensor(1, "weight")?);
            let n = weight.rank().saturating_sub(2);
            let list =
                |at: usize, name: &str| per_dim(&a.opt_ints(at, name)?.unwrap_or_default(), n, &[]);
            let options = ConvOptions::default()
                .stride(list(3, "stride")?)
                .padding(&list(4, "padding")?[..])
                .output_padding(list(5, "output_padding")?)
                .groups(groups(a, 6)?)
                .dilation(list(7, "dilation")?);
            one(with_bias(
                x.conv_transpose(&weight, &options),
                a.opt_tensor(2, "bias")?,
                n,
            ))
        },
    ),
    (&["nn.functional.unfold"], unfold),
];

fn groups(a: &Args, at: usize) -> Result<usize, Stop> {
    match a.has(at, "groups") {
        true => a.size(at, "groups"),
        false => Ok(1),
    }
}

/// A number added to each channel.
fn with_bias(y: Tensor, bias: Option<Tensor>, spatial: usize) -> Tensor {
    match bias {
        Some(bias) => {
            let mut shape = vec![-1];
            shape.extend(std::iter::repeat_n(1, spatial));
            y + bias.reshape(shape)
        }
        None => y,
    }
}

/// The patches of images as columns.
fn unfold(a: &Args) -> Outs {
    let x = a.x()?;
    let batch = x.rank() == 4;
    let x = if batch { x } else { x.expand_dims(0) };
    let kernel = per_dim(&a.ints(1, "kernel_size")?, 2, &[])?;
    let list = |at: usize, name: &str, default: usize| {
        per_dim(&a.opt_ints(at, name)?.unwrap_or_default(), 2, &[default; 2])
    };
    let dilation = list(2, "dilation", 1)?;
    let padding = list(3, "padding", 0)?;
    let stride = list(4, "stride", 1)?;
    let p: Vec<(usize, usize)> = padding.iter().map(|p| (*p, *p)).collect();
    let x = x.pad([(0, 0), (0, 0), p[0], p[1]], PadMode::ZERO);
    let (n, c, h, w) = (x.dim(0), x.dim(1), x.dim(2), x.dim(3));
    let places = |size: usize, d: usize| -> Vec<usize> {
        let reach = dilation[d] * (kernel[d] - 1) + 1;
        (0..(size + 1).saturating_sub(reach))
            .step_by(stride[d])
            .collect()
    };
    let (rows, columns) = (places(h, 0), places(w, 1));
    let mut positions = Vec::new();
    for image in 0..n * c {
        for i in 0..kernel[0] {
            for j in 0..kernel[1] {
                for r in &rows {
                    for s in &columns {
                        let (r, s) = (r + i * dilation[0], s + j * dilation[1]);
                        positions.push((image * h + r) * w + s);
                    }
                }
            }
        }
    }
    let shape = [n, c * kernel[0] * kernel[1], rows.len() * columns.len()];
    let y = pick(&x, &positions, &shape)?;
    one(if batch {
        y
    } else {
        y.reshape(as_i64(&shape[1..]))
    })
}
