//! Operations of the graph in lane instructions.

use cotangent_array::{DType, Scalar};
use cotangent_graph::Op;
use cotangent_graph::ops::{Binary, Compare, Indexed, Ternary, Test, Unary};

use super::code::{LaneCode, Lanes, Predicate, Prim, Rounding, Writer};
use super::{LaneInput, LaneOp, LaneOutput, input_kinds, output_kinds};

/// The width that a region must have for an operation to be in it: `Some(None)` where any will do,
/// `None` where regions do not know the operation for these dtypes.
pub(crate) fn lanes_of(op: &Op, args: &[DType], out: DType) -> Option<Option<Lanes>> {
    let mut lanes = None;
    for dtype in args.iter().chain([&out]) {
        let own = match dtype {
            DType::Bool => continue,
            DType::F64 | DType::I64 => Lanes::W64,
            DType::F32 | DType::I32 => Lanes::W32,
            _ => return None,
        };
        match lanes {
            Some(other) if other != own => return None,
            _ => lanes = Some(own),
        }
    }
    let first = args.first().copied().unwrap_or(out);
    let known = match op {
        Op::Unary(op) => unary_known(*op, first),
        Op::Binary(op) => binary_known(*op, first),
        Op::Compare(_) | Op::Test(_) => true,
        Op::Ternary(Ternary::Select) => true,
        Op::Ternary(Ternary::Clamp) => first != DType::Bool,
        Op::Indexed(Indexed::Powi, n) => first.is_float() && n.unsigned_abs() <= 8,
        Op::Convert(_) => {
            let exact = matches!(
                (first, out),
                (DType::I64, DType::F64) | (DType::I32, DType::F32)
            );
            exact || first == DType::Bool || out == DType::Bool || first == out
        }
        _ => false,
    };
    known.then_some(lanes)
}

/// The width that a region must have to hold values of a dtype; as [`lanes_of`].
pub(crate) fn lanes_of_moves(dtype: DType) -> Option<Option<Lanes>> {
    lanes_of(&Op::Unary(Unary::StopGradient), &[dtype], dtype)
}

/// About how many instructions an operation becomes.
pub(crate) fn cost(op: &Op) -> usize {
    if let Op::Binary(Binary::Zmul) = op {
        return 3;
    }
    op.row().map_or(1, |row| row.cost.max(1) as usize)
}

fn unary_known(op: Unary, dtype: DType) -> bool {
    use Unary as U;
    match op {
        U::Not => !dtype.is_float(),
        U::StopGradient => true,
        U::Neg | U::Abs | U::Sign | U::Floor | U::Ceil | U::Round | U::Trunc => {
            dtype != DType::Bool
        }
        // Rows without instructions of their own are called.
        _ => dtype.is_float(),
    }
}

fn binary_known(op: Binary, dtype: DType) -> bool {
    use Binary as B;
    match op {
        B::Add | B::Sub | B::Maximum | B::Minimum => dtype != DType::Bool,
        B::Mul | B::Zmul => matches!(dtype, DType::F64 | DType::F32 | DType::I32),
        B::Div => dtype.is_float(),
        B::And | B::Or | B::Xor => !dtype.is_float(),
        _ => false,
    }
}

/// The bits of a number in a lane; a bool is a mask.
pub(crate) fn number_bits(value: Scalar, lanes: Lanes) -> u64 {
    let bits = match value {
        Scalar::Bool(x) => {
            if x {
                u64::MAX
            } else {
                0
            }
        }
        Scalar::I64(x) => x as u64,
        Scalar::I32(x) => u64::from(x as u32),
        Scalar::F32(x) => u64::from(x.to_bits()),
        Scalar::F64(x) => x.to_bits(),
        other => other.to_i64() as u64,
    };
    match lanes {
        Lanes::W64 => bits,
        Lanes::W32 => bits & 0xFFFF_FFFF,
    }
}

/// A region in instructions. Inputs are loaded where they are first read and results stored as soon
/// as they are known, so that few values live at a time.
pub(super) fn expand(
    lanes: Lanes,
    fma: bool,
    inputs: &[LaneInput],
    ops: &[LaneOp],
    outputs: &[LaneOutput],
) -> Result<LaneCode, String> {
    let (input_kinds, output_kinds) = (input_kinds(inputs, lanes)?, output_kinds(outputs, lanes)?);
    let mut x = Expand {
        w: Writer::new(lanes, fma),
        inputs,
        ops,
        values: vec![None; inputs.len() + ops.len()],
        delayed: delayed(fma, inputs.len(), ops, outputs),
    };
    // The values that are stored and the numbers of the results, by value.
    let written = outputs.iter();
    let written = written.flat_map(|o| [o.value].into_iter().chain(o.beside.iter().copied()));
    let mut stores: Vec<(u32, u32)> = written.zip(0..).collect();
    let missing = stores
        .iter()
        .find(|(value, _)| *value as usize >= x.values.len());
    if let Some((_, k)) = missing {
        return Err(format!("result {k} is a value that is not there"));
    }
    stores.sort_unstable();
    let mut stores = stores.into_iter().peekable();
    let mut read = ops.iter().flat_map(|op| &op.args);
    if let Some(a) = read.find(|a| **a as usize >= x.values.len()) {
        return Err(format!("a value {a} that is not there is read"));
    }
    // Most operations are one instruction.
    x.w.reserve(inputs.len() + ops.len() + outputs.len());
    for v in 0..x.values.len() as u32 {
        if v as usize >= inputs.len() {
            let k = v as usize - inputs.len();
            if x.delayed[k] {
                continue;
            }
            let value = x.operation(k)?;
            x.values[v as usize] = Some(value);
        }
        while let Some((_, k)) = stores.next_if(|(value, _)| *value == v) {
            let value = x.value(v)?;
            x.w.put(Prim::Store(k), &[value]);
        }
    }
    Ok(x.w.finish(input_kinds, output_kinds))
}

/// The products among the operations of a region that are rounded with the sum or difference that reads them and that
/// nothing else reads.
pub(super) fn delayed(
    fma: bool,
    inputs: usize,
    ops: &[LaneOp],
    outputs: &[LaneOutput],
) -> Vec<bool> {
    let mut delayed = vec![false; ops.len()];
    if !fma {
        return delayed;
    }
    // How often each value is read; to be stored is to be read more than once.
    let mut reads = vec![0_u32; inputs + ops.len()];
    let stored = outputs
        .iter()
        .flat_map(|o| [o.value].into_iter().chain(o.beside.iter().copied()));
    let read = ops.iter().flat_map(|op| op.args.iter().copied());
    for (v, more) in stored.map(|v| (v, 2)).chain(read.map(|v| (v, 1))) {
        if let Some(count) = reads.get_mut(v as usize) {
            *count += more;
        }
    }
    for op in ops {
        if !matches!(op.op, Op::Binary(Binary::Add | Binary::Sub)) || !op.dtype.is_float() {
            continue;
        }
        // The second operand first: of two products the first is then rounded by itself.
        for a in op.args.iter().rev() {
            let Some(k) = (*a as usize).checked_sub(inputs) else {
                continue;
            };
            let product = |p: &LaneOp| matches!(p.op, Op::Binary(Binary::Mul));
            if ops.get(k).is_some_and(product) && reads[*a as usize] == 1 {
                delayed[k] = true;
                break;
            }
        }
    }
    delayed
}

struct Expand<'a> {
    w: Writer,
    inputs: &'a [LaneInput],
    ops: &'a [LaneOp],
    /// The instruction of each value; inputs are loaded when they are first read.
    values: Vec<Option<u32>>,
    /// Products that become part of the sum that alone reads them.
    delayed: Vec<bool>,
}

impl Expand<'_> {
    fn value(&mut self, v: u32) -> Result<u32, String> {
        if let Some(Some(known)) = self.values.get(v as usize) {
            return Ok(*known);
        }
        let Some(input) = self.inputs.get(v as usize) else {
            return Err(format!("value {v} is read before it is known"));
        };
        let moves = input.index.is_some() || input.pad.is_some();
        let load = match input.strides.last() {
            None | Some(0) if !moves => Prim::Splat(v),
            _ => Prim::Load(v),
        };
        let value = self.w.put(load, &[]);
        self.values[v as usize] = Some(value);
        Ok(value)
    }

    /// The factors of a product that was left for its only reader.
    fn factors(&mut self, v: u32) -> Result<Option<(u32, u32)>, String> {
        let k = (v as usize).wrapping_sub(self.inputs.len());
        match (self.delayed.get(k), self.ops.get(k)) {
            (Some(true), Some(LaneOp { args, .. })) if args.len() == 2 => {
                let (a, b) = (args[0], args[1]);
                Ok(Some((self.value(a)?, self.value(b)?)))
            }
            _ => Ok(None),
        }
    }

    fn operation(&mut self, k: usize) -> Result<u32, String> {
        let LaneOp { op, dtype, args } = &self.ops[k];
        let unknown = || format!("a region cannot do `{}`", op.name());
        if let Op::Full(value, _) = op {
            let bits = number_bits(*value, self.w.lanes);
            return Ok(self.w.put(Prim::Const(bits), &[]));
        }
        let of = |x: &Self, v: u32| {
            let k = (v as usize).wrapping_sub(x.inputs.len());
            x.inputs
                .get(v as usize)
                .map(|i| i.dtype)
                .or(x.ops.get(k).map(|o| o.dtype))
        };
        let first = args
            .first()
            .and_then(|a| of(self, *a))
            .ok_or_else(unknown)?;
        if let (Op::Binary(which @ (Binary::Add | Binary::Sub)), [a, b]) = (op, &args[..])
            && dtype.is_float()
        {
            if let Some((p, q)) = self.factors(*b)? {
                let a = self.value(*a)?;
                let prim = if *which == Binary::Add {
                    Prim::Fma
                } else {
                    Prim::Fnma
                };
                return Ok(self.w.put(prim, &[p, q, a]));
            }
            if let Some((p, q)) = self.factors(*a)? {
                let b = self.value(*b)?;
                let prim = if *which == Binary::Add {
                    Prim::Fma
                } else {
                    Prim::Fms
                };
                return Ok(self.w.put(prim, &[p, q, b]));
            }
        }
        let mut values = [0; 3];
        for (to, a) in values.iter_mut().zip(args) {
            *to = self.value(*a)?;
        }
        let [a, b, c] = values;
        let w = &mut self.w;
        let float = first.is_float();
        Ok(match op {
            Op::Unary(op) if float => unary_float(w, *op, a),
            Op::Unary(op) => unary_int(w, *op, a).ok_or_else(unknown)?,
            Op::Binary(op) if float => binary_float(w, *op, a, b).ok_or_else(unknown)?,
            Op::Binary(op) => binary_int(w, *op, a, b).ok_or_else(unknown)?,
            Op::Compare(op) => compare(w, *op, first, a, b),
            Op::Test(op) => test(w, *op, float, a),
            Op::Ternary(Ternary::Select) => w.blend(a, b, c),
            Op::Ternary(Ternary::Clamp) if float => {
                let raised = larger(w, a, b);
                smaller(w, raised, c)
            }
            Op::Ternary(Ternary::Clamp) => {
                let raised = binary_int(w, Binary::Maximum, a, b).ok_or_else(unknown)?;
                binary_int(w, Binary::Minimum, raised, c).ok_or_else(unknown)?
            }
            Op::Indexed(Indexed::Powi, n) if float => powi(w, a, *n),
            Op::Convert(to) => convert(w, first, *to, a).ok_or_else(unknown)?,
            _ => return Err(unknown()),
        })
    }
}

fn unary_float(w: &mut Writer, op: Unary, x: u32) -> u32 {
    let round = |w: &mut Writer, how| w.put(Prim::Round(how), &[x]);
    match op {
        Unary::Neg => w.neg(x),
        Unary::StopGradient => x,
        Unary::Abs => w.abs(x),
        Unary::Sign => {
            let (zero, one, less) = (w.float(0.0), w.float(1.0), w.float(-1.0));
            let above = w.compare(Predicate::Lt, zero, x);
            let below = w.compare(Predicate::Lt, x, zero);
            let rest = w.blend(below, less, x);
            w.blend(above, one, rest)
        }
        Unary::Floor => round(w, Rounding::Floor),
        Unary::Ceil => round(w, Rounding::Ceil),
        Unary::Round => round(w, Rounding::Even),
        Unary::Trunc => round(w, Rounding::Trunc),
        Unary::Sqrt => w.put(Prim::Sqrt, &[x]),
        Unary::Rsqrt => {
            let (root, one) = (w.put(Prim::Sqrt, &[x]), w.float(1.0));
            w.div(one, root)
        }
        Unary::Exp => w.exp(x),
        Unary::Expm1 => w.expm1(x),
        Unary::Log => w.log(x),
        Unary::Log1p => w.log1p(x),
        Unary::Tanh => w.tanh(x),
        Unary::Sigmoid => w.sigmoid(x),
        Unary::Sin => w.sin(x),
        Unary::Cos => w.cos(x),
        Unary::Tan => w.tan(x),
        row => {
            let all = w.int(-1);
            w.put(Prim::Call(row), &[all, x, x])
        }
    }
}

fn unary_int(w: &mut Writer, op: Unary, x: u32) -> Option<u32> {
    let zero = w.int(0);
    Some(match op {
        Unary::Neg => w.put(Prim::ISub, &[zero, x]),
        Unary::StopGradient | Unary::Floor | Unary::Ceil | Unary::Round | Unary::Trunc => x,
        Unary::Abs => {
            let (below, negated) = (w.put(Prim::IGt, &[zero, x]), w.put(Prim::ISub, &[zero, x]));
            w.blend(below, negated, x)
        }
        Unary::Sign => {
            let (above, below) = (w.put(Prim::IGt, &[x, zero]), w.put(Prim::IGt, &[zero, x]));
            w.put(Prim::ISub, &[below, above])
        }
        Unary::Not => {
            let ones = w.int(-1);
            w.put(Prim::Xor, &[x, ones])
        }
        _ => return None,
    })
}

fn binary_float(w: &mut Writer, op: Binary, x: u32, y: u32) -> Option<u32> {
    Some(match op {
        Binary::Add => w.add(x, y),
        Binary::Sub => w.sub(x, y),
        Binary::Mul => w.mul(x, y),
        Binary::Div => w.div(x, y),
        Binary::Maximum => larger(w, x, y),
        Binary::Minimum => smaller(w, x, y),
        Binary::Zmul => w.put(Prim::Zmul, &[x, y]),
        _ => return None,
    })
}

/// The larger of two floats; NaN if either is, 0 above -0.
fn larger(w: &mut Writer, x: u32, y: u32) -> u32 {
    // The instruction gives the second operand beside NaN and at ties; the bits of equal numbers
    // joined by `and` are 0 unless both are -0.
    let m = w.put(Prim::Max, &[x, y]);
    extreme(w, x, y, m, Prim::And)
}

/// The smaller of two floats; NaN if either is, -0 below 0.
fn smaller(w: &mut Writer, x: u32, y: u32) -> u32 {
    let m = w.put(Prim::Min, &[x, y]);
    extreme(w, x, y, m, Prim::Or)
}

fn extreme(w: &mut Writer, x: u32, y: u32, m: u32, tie: Prim) -> u32 {
    let nan = w.compare(Predicate::Unordered, x, x);
    let m = w.blend(nan, x, m);
    let equal = w.compare(Predicate::Eq, x, y);
    let both = w.put(tie, &[x, y]);
    w.blend(equal, both, m)
}

fn binary_int(w: &mut Writer, op: Binary, x: u32, y: u32) -> Option<u32> {
    Some(match op {
        Binary::Add => w.put(Prim::IAdd, &[x, y]),
        Binary::Sub => w.put(Prim::ISub, &[x, y]),
        Binary::Mul | Binary::Zmul if w.lanes == Lanes::W32 => w.put(Prim::IMul, &[x, y]),
        Binary::Maximum => {
            let above = w.put(Prim::IGt, &[x, y]);
            w.blend(above, x, y)
        }
        Binary::Minimum => {
            let above = w.put(Prim::IGt, &[x, y]);
            w.blend(above, y, x)
        }
        Binary::And => w.and(x, y),
        Binary::Or => w.or(x, y),
        Binary::Xor => w.put(Prim::Xor, &[x, y]),
        _ => return None,
    })
}

fn compare(w: &mut Writer, op: Compare, dtype: DType, x: u32, y: u32) -> u32 {
    // Greater is less the other way round.
    let (op, x, y) = match op {
        Compare::Gt => (Compare::Lt, y, x),
        Compare::Ge => (Compare::Le, y, x),
        op => (op, x, y),
    };
    if dtype.is_float() {
        let predicate = match op {
            Compare::Eq => Predicate::Eq,
            Compare::Ne => Predicate::Ne,
            Compare::Lt => Predicate::Lt,
            _ => Predicate::Le,
        };
        return w.compare(predicate, x, y);
    }
    let ones = w.int(-1);
    let not = |w: &mut Writer, x: u32| w.put(Prim::Xor, &[x, ones]);
    match (op, dtype) {
        (Compare::Eq, _) => w.put(Prim::IEq, &[x, y]),
        (Compare::Ne, _) => {
            let equal = w.put(Prim::IEq, &[x, y]);
            not(w, equal)
        }
        // Of masks, false is less than true.
        (Compare::Lt, DType::Bool) => w.put(Prim::AndNot, &[x, y]),
        (_, DType::Bool) => {
            let above = w.put(Prim::AndNot, &[y, x]);
            not(w, above)
        }
        (Compare::Lt, _) => w.put(Prim::IGt, &[y, x]),
        _ => {
            let above = w.put(Prim::IGt, &[x, y]);
            not(w, above)
        }
    }
}

fn test(w: &mut Writer, op: Test, float: bool, x: u32) -> u32 {
    if !float {
        return w.int(if op.int() { -1 } else { 0 });
    }
    let (size, infinity) = (w.abs(x), w.float(f64::INFINITY));
    match op {
        Test::IsNan => w.compare(Predicate::Unordered, x, x),
        Test::IsInf => w.compare(Predicate::Eq, size, infinity),
        Test::IsFinite => w.compare(Predicate::Lt, size, infinity),
    }
}

/// The reciprocal of the power where the exponent is negative, as the reference has it. The reference
/// of f32 counts in f64, where a power is never too large or too small for its reciprocal; here it is
/// then the power of the reciprocal.
fn powi(w: &mut Writer, x: u32, n: i64) -> u32 {
    let power = power(w, x, n.unsigned_abs());
    if n >= 0 {
        return power;
    }
    let one = w.float(1.0);
    let result = w.div(one, power);
    if n == -1 || w.by(true, false) {
        return result;
    }
    let (least, infinity) = (
        w.float(f64::from(f32::MIN_POSITIVE)),
        w.float(f64::INFINITY),
    );
    let size = w.abs(power);
    let above = w.compare(Predicate::Le, least, size);
    let below = w.compare(Predicate::Lt, size, infinity);
    let exact = w.and(above, below);
    let reciprocal = w.div(one, x);
    let other = self::power(w, reciprocal, n.unsigned_abs());
    w.blend(exact, result, other)
}

/// Repeated squaring, in the order of the reference.
fn power(w: &mut Writer, x: u32, mut k: u64) -> u32 {
    let (mut base, mut out) = (x, None);
    while k > 0 {
        if k & 1 == 1 {
            out = Some(match out {
                Some(out) => w.mul(out, base),
                None => base,
            });
        }
        k >>= 1;
        if k > 0 {
            base = w.mul(base, base);
        }
    }
    out.unwrap_or_else(|| w.float(1.0))
}

fn convert(w: &mut Writer, from: DType, to: DType, x: u32) -> Option<u32> {
    if from == to {
        return Some(x);
    }
    Some(match (from, to) {
        (DType::Bool, to) => {
            let one = if to.is_float() {
                w.float(1.0)
            } else {
                w.int(1)
            };
            w.and(x, one)
        }
        (from, DType::Bool) if from.is_float() => {
            let zero = w.float(0.0);
            w.compare(Predicate::Ne, x, zero)
        }
        (_, DType::Bool) => {
            let (zero, ones) = (w.int(0), w.int(-1));
            let none = w.put(Prim::IEq, &[x, zero]);
            w.put(Prim::Xor, &[none, ones])
        }
        (DType::I32, DType::F32) => w.put(Prim::IntToFloat, &[x]),
        (DType::I64, DType::F64) => {
            // The two halves put into the low bits of floats; the last sum rounds, once.
            let (low_mask, low_base) = (w.int(0xFFFF_FFFF), w.int(0x4330_0000_0000_0000));
            let low = w.and(x, low_mask);
            let low = w.or(low, low_base);
            let high_base = w.int(0x4530_0000_8000_0000);
            let high = w.put(Prim::Shr(32), &[x]);
            let high = w.put(Prim::Xor, &[high, high_base]);
            let both = w.int(0x4530_0000_8010_0000);
            let high = w.sub(high, both);
            w.add(high, low)
        }
        _ => return None,
    })
}
