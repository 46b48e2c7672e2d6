//! Attention.

use cotangent::{DType, Tensor, concat};

use super::Table;
use super::activation::{random, safe_softmax};
use super::linear::linear;
use super::tools::one;
use crate::args::{Args, Outs, Res};

pub const TABLE: Table = &[
    (&["nn.functional.scaled_dot_product_attention"], |a| {
        let (q, k, v) = (
            a.tensor(0, "query")?,
            a.tensor(1, "key")?,
            a.tensor(2, "value")?,
        );
        if a.float_or(4, "dropout_p", 0.0)? != 0.0 {
            return random();
        }
        let mask = a.opt_tensor(3, "attn_mask")?;
        let causal = a.bool_or(5, "is_causal", false)?;
        let (k, v) = match a.bool_or(7, "enable_gqa", false)? {
            true => (repeated(&q, &k), repeated(&q, &v)),
            false => (k, v),
        };
        let scale = scale(a, 6, &q)?;
        let scores = scores(&q, &k, mask, causal, scale);
        one(safe_softmax(&scores, scores.rank() - 1).matmul(&v))
    }),
    (
        &["torch.ops.aten._scaled_dot_product_flash_attention_for_cpu"],
        |a| {
            let (q, k, v) = (
                a.tensor(0, "query")?,
                a.tensor(1, "key")?,
                a.tensor(2, "value")?,
            );
            if a.float_or(3, "dropout_p", 0.0)? != 0.0 {
                return random();
            }
            let mask = a.opt_tensor(usize::MAX, "attn_mask")?;
            let causal = a.bool_or(4, "is_causal", false)?;
            let scores = scores(&q, &k, mask, causal, scale(a, usize::MAX, &q)?);
            let y = safe_softmax(&scores, scores.rank() - 1).matmul(&v);
            Ok(vec![y, scores.logsumexp(-1)])
        },
    ),
    (&["nn.functional.multi_head_attention_forward"], multi_head),
];

fn scale(a: &Args, at: usize, q: &Tensor) -> Res<f64> {
    a.float_or(at, "scale", 1.0 / (q.dim(-1) as f64).sqrt())
}

/// Heads of keys and values repeated so that there are as many as of queries.
fn repeated(q: &Tensor, k: &Tensor) -> Tensor {
    let count = q.dim(-3) / k.dim(-3).max(1);
    if count == 1 {
        k.clone()
    } else {
        k.repeat(count, -3)
    }
}

/// The products of queries and keys; minus infinity where the mask hides a key.
fn scores(q: &Tensor, k: &Tensor, mask: Option<Tensor>, causal: bool, scale: f64) -> Tensor {
    let scores = (q * scale).matmul(&k.t());
    let mut scores = match mask {
        Some(mask) if mask.dtype() == DType::Bool => mask.select(scores, f64::NEG_INFINITY),
        Some(mask) => scores + mask,
        None => scores,
    };
    if causal {
        let (l, s) = (q.dim(-2), k.dim(-2));
        let visible = Tensor::ones([l, s], DType::F64).tril(0).equal(1.0);
        scores = visible.select(scores, f64::NEG_INFINITY);
    }
    scores
}

/// `multi_head_attention_forward` with its arguments in order.
fn multi_head(a: &Args) -> Outs {
    let training = a.bool_or(13, "training", true)?;
    if training && a.float_or(10, "dropout_p", 0.0)? != 0.0 {
        return random();
    }
    let (q, k, v) = (
        a.tensor(0, "query")?,
        a.tensor(1, "key")?,
        a.tensor(2, "value")?,
    );
    let batched = q.rank() == 3;
    let with_batch = |t: &Tensor| if batched { t.clone() } else { t.expand_dims(1) };
    let (q, k, v) = (with_batch(&q), with_batch(&k), with_batch(&v));
    let heads = a.size(4, "num_heads")? as i64;
    let (length, batch, embed) = (q.dim(0), q.dim(1), q.dim(2));

    let bias = a.opt_tensor(6, "in_proj_bias")?;
    let part = |t: &Tensor, i: usize| t.slice_axis(0, i * embed..(i + 1) * embed);
    let bias_of = |i: usize| bias.as_ref().map(|b| part(b, i));
    let separate = a.bool_or(17, "use_separate_proj_weight", false)?;
    let weight_of = |i: usize| -> Res<Tensor> {
        match separate {
            true => a.tensor(
                18 + i,
                ["q_proj_weight", "k_proj_weight", "v_proj_weight"][i],
            ),
            false => Ok(part(&a.tensor(5, "in_proj_weight")?, i)),
        }
    };
    let q = linear(&q, &weight_of(0)?, bias_of(0));
    let mut k = linear(&k, &weight_of(1)?, bias_of(1));
    let mut v = linear(&v, &weight_of(2)?, bias_of(2));

    // One more key that is learned, and one of zeros.
    let mut added = 0;
    if let (Some(bk), Some(bv)) = (a.opt_tensor(7, "bias_k")?, a.opt_tensor(8, "bias_v")?) {
        let row = |b: Tensor| b.reshape([1, 1, -1]).broadcast_to([1, batch, embed]);
        k = concat([&k, &row(bk)], 0);
        v = concat([&v, &row(bv)], 0);
        added += 1;
    }
    if a.bool_or(9, "add_zero_attn", false)? {
        let zeros = Tensor::zeros([1, batch, embed], DType::F64);
        k = concat([&k, &zeros], 0);
        v = concat([&v, &zeros], 0);
        added += 1;
    }
    // [length, batch, embed] to [batch, heads, length, embed / heads]
    let split = |t: &Tensor| {
        t.reshape([t.dim(0) as i64, batch as i64, heads, -1])
            .permute([1, 2, 0, 3])
    };
    let (q, k, v) = (split(&q), split(&k), split(&v));
    let source = k.dim(2);
    let scale = 1.0 / (q.dim(-1) as f64).sqrt();
    let mut scores = (q * scale).matmul(&k.t());
    // Masks say what is hidden, and know nothing of the keys that were added.
    let hidden = |mask: Tensor| -> Tensor {
        let mask = match mask.dtype() {
            DType::Bool => mask.select(Tensor::scalar(f64::NEG_INFINITY), 0.0),
            _ => mask,
        };
        let mut shape = mask.shape().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = added;
        }
        match added {
            0 => mask,
            _ => concat([&mask, &Tensor::zeros(shape, DType::F64)], -1),
        }
    };
    if let Some(mask) = a.opt_tensor(16, "attn_mask")? {
        let mask = hidden(mask);
        let mask = match mask.rank() {
            3 => mask.reshape([batch as i64, heads, length as i64, source as i64]),
            _ => mask,
        };
        scores += mask;
    }
    if let Some(mask) = a.opt_tensor(14, "key_padding_mask")? {
        scores += hidden(mask).reshape([-1, 1, 1, source as i64]);
    }
    let weights = scores.softmax(-1);
    let y = weights
        .matmul(&v)
        .permute([2, 0, 1, 3])
        .reshape([length, batch, embed]);
    let y = linear(
        &y,
        &a.tensor(11, "out_proj_weight")?,
        a.opt_tensor(12, "out_proj_bias")?,
    );
    let y = if batched { y } else { y.squeeze(1) };
    if !a.bool_or(15, "need_weights", true)? {
        return one(y);
    }
    let weights = match a.bool_or(23, "average_attn_weights", true)? {
        true => weights.mean(1),
        false => weights,
    };
    Ok(vec![y, if batched { weights } else { weights.squeeze(0) }])
}
