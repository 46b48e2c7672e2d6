//! The networks that are measured: large enough that what they keep outweighs everything else.

use cotangent::{
    Array, ArrayError, ConvOptions, DType, Function, PoolOptions, Tensor, concat, control, keep,
};

/// A network's gradient by its parameters.
pub type Gradient = Function<(Vec<Tensor>, Tensor), Vec<Tensor>>;

/// A network with numbers to run it on.
pub struct Network {
    pub gradient: Gradient,
    pub arguments: (Vec<Array>, Array),
}

/// The names of all networks.
pub const NAMES: [&str; 3] = ["transformer", "unet", "lstm"];

/// The network of this name.
pub fn of(name: &str) -> Option<Result<Network, ArrayError>> {
    match name {
        "transformer" => Some(transformer()),
        "unet" => Some(unet()),
        "lstm" => Some(lstm()),
        _ => None,
    }
}

/// Twelve blocks of width 64 over 4 texts of 128 parts, f32.
fn transformer() -> Result<Network, ArrayError> {
    const WIDTH: usize = 64;
    let shapes = [
        [WIDTH, 3 * WIDTH],
        [WIDTH, WIDTH],
        [WIDTH, 4 * WIDTH],
        [4 * WIDTH, WIDTH],
    ];
    let mut draw = Draw(1);
    let mut weights = Vec::new();
    for shape in (0..12).flat_map(|_| shapes) {
        weights.push(draw.array(DType::F32, &shape)?);
    }
    let cost = |weights: &Vec<Tensor>, x: &Tensor| {
        let mut x = x.clone();
        for w in weights.chunks_exact(4) {
            x = block(w, &x);
        }
        x.square().mean(..)
    };
    Ok(Network {
        gradient: Function::new(cost).grad(),
        arguments: (weights, draw.array(DType::F32, &[4, 128, WIDTH])?),
    })
}

fn block(w: &[Tensor], x: &Tensor) -> Tensor {
    let (batch, length, width, heads) = (x.dim(0), x.dim(1), x.dim(2), 4);
    let projected = normal(x).dot(&w[0]);
    let [q, k, v] = [0, 1, 2].map(|part| {
        let part = projected.slice_axis(2, part * width..(part + 1) * width);
        part.reshape([batch, length, heads, width / heads])
            .swapaxes(1, 2)
    });
    let attended = q.attention(&k, &v, None).swapaxes(1, 2);
    let x = x + attended.reshape([batch, length, width]).dot(&w[1]);
    let hidden = normal(&x).dot(&w[2]).gelu_tanh();
    x + hidden.dot(&w[3])
}

/// Layer norm without parameters.
fn normal(x: &Tensor) -> Tensor {
    let mean = x.mean(keep(-1));
    let centred = x - mean;
    let variance = centred.square().mean(keep(-1));
    centred * (variance + 1e-5).rsqrt()
}

/// Images of 64 x 64 down to 8 x 8 and up again, eight convolutions at each size on each way, with every
/// size joined to its opposite, f32.
fn unet() -> Result<Network, ArrayError> {
    let mut draw = Draw(2);
    let widths = [8, 16, 24, 32];
    let mut weights = Vec::new();
    let mut last = 3;
    // First those on the way down, then those on the way up.
    for width in widths {
        for from in [last, width, width, width, width, width, width, width] {
            weights.push(draw.array(DType::F32, &[width, from, 3, 3])?);
        }
        last = width;
    }
    for width in widths.into_iter().rev().skip(1) {
        for from in [
            last + width,
            width,
            width,
            width,
            width,
            width,
            width,
            width,
        ] {
            weights.push(draw.array(DType::F32, &[width, from, 3, 3])?);
        }
        last = width;
    }
    let cost = |weights: &Vec<Tensor>, x: &Tensor| {
        let same = ConvOptions::default().padding(1);
        let layers =
            |x: &Tensor, w: &[Tensor]| (w.iter()).fold(x.clone(), |x, w| x.conv(w, &same).tanh());
        let (down, up) = weights.split_at(32);
        let (mut x, mut sizes) = (x.clone(), Vec::new());
        for (k, w) in down.chunks_exact(8).enumerate() {
            if k > 0 {
                x = x.avg_pool([2, 2], &PoolOptions::default().stride([2, 2]));
            }
            x = layers(&x, w);
            sizes.push(x.clone());
        }
        sizes.pop();
        for w in up.chunks_exact(8) {
            let large = x.repeat(2, 2).repeat(2, 3);
            if let Some(opposite) = sizes.pop() {
                x = layers(&concat([&large, &opposite], 1), w);
            }
        }
        x.square().mean(..)
    };
    Ok(Network {
        gradient: Function::new(cost).grad(),
        arguments: (weights, draw.array(DType::F32, &[4, 3, 64, 64])?),
    })
}

/// Long short-term memory of 32 cells over 10,000 steps, f64.
fn lstm() -> Result<Network, ArrayError> {
    const CELLS: usize = 32;
    let mut draw = Draw(3);
    let weights = vec![
        draw.array(DType::F64, &[4 * CELLS, 2 * CELLS])?,
        draw.array(DType::F64, &[4 * CELLS])?,
    ];
    let cost = |weights: &Vec<Tensor>, xs: &Tensor| {
        let zero = || Tensor::zeros([CELLS], DType::F64);
        let step = |(h, c): (Tensor, Tensor), x: Tensor| {
            let z = weights[0].dot(&concat([x, h], 0)) + &weights[1];
            let gate = |k: usize| z.slice_axis(0, k * CELLS..(k + 1) * CELLS);
            let c = gate(0).sigmoid() * c + gate(1).sigmoid() * gate(2).tanh();
            let h = gate(3).sigmoid() * c.tanh();
            ((h.clone(), c), h)
        };
        let (_, states) = control::scan(step, (zero(), zero()), xs.clone());
        states.square().mean(..)
    };
    Ok(Network {
        gradient: Function::new(cost).grad(),
        arguments: (weights, draw.array(DType::F64, &[10_000, CELLS])?),
    })
}

/// Numbers between -0.5 and 0.5, scaled by the number of those that are summed.
struct Draw(u64);

impl Draw {
    fn array(&mut self, dtype: DType, shape: &[usize]) -> Result<Array, ArrayError> {
        let inner: usize = match shape {
            [_, rest @ ..] if shape.len() > 2 => rest.iter().product(),
            [first, ..] => *first,
            [] => 1,
        };
        let scale = 3.0 / (inner as f64).sqrt();
        let mut number = || {
            // Knuth's linear congruential generator (The Art of Computer Programming, 3.3.4).
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            ((self.0 >> 33) as f64 / f64::from(1_u32 << 31) - 0.5) * scale
        };
        let count: usize = shape.iter().product();
        let numbers: Vec<f64> = std::iter::repeat_with(&mut number).take(count).collect();
        Ok(Array::new(shape, numbers)?.convert(dtype))
    }
}
