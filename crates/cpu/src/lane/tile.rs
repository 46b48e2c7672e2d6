//! The tile interpreter: a few hundred elements at a time, one tight loop for each instruction.
//!
//! Values stand in tiles that stay in the first cache. Every loop is a safe meaning inlined into a
//! function of its own, once for the baseline of the machine and once with AVX2 and FMA, so that the
//! compiler makes vector instructions of it. Operands that are one number are read as such.

use cotangent_compile::lane::{
    Elem, LaneCode, Lanes, Predicate as C, Prim, Prim as P, Rounding as R, TILE, alu_narrow,
    alu_wide,
};

/// The instructions of a region with a loop for each.
pub(super) struct TileCode {
    insts: Vec<TileInst>,
    numbers: Vec<u64>,
    tile: usize,
    lanes: Lanes,
}

struct TileInst {
    what: What,
    args: [Source; 3],
    /// The offset of the result's tile in bytes.
    out: usize,
}

enum What {
    Load(usize, Elem),
    Store(usize, Elem),
    /// One element: the stream, and the bytes before it.
    At(usize, usize),
    Put(usize, usize),
    Apply(Loop, u8),
    Call(Prim),
}

/// Where an operand is read.
#[derive(Clone, Copy)]
enum Source {
    Tile(usize),
    Number(usize),
    Splat(usize, Elem),
}

/// Computes a number of elements: operands, result, count, places of a shift.
type Loop = unsafe fn([*const u8; 3], *mut u8, usize, u8);

/// A mask as it is read where a bool is the same everywhere.
static MASKS: [u64; 2] = [0, u64::MAX];

impl TileCode {
    pub(super) fn new(code: &LaneCode, tile: usize, fast: bool) -> TileCode {
        let (tiles, _) = code.tiles();
        let mut numbers = Vec::new();
        let mut sources: Vec<Source> = Vec::with_capacity(code.insts.len());
        let mut insts = Vec::new();
        for (i, inst) in code.insts.iter().enumerate() {
            let out = tiles[i] as usize * tile;
            let mut args = [Source::Tile(0); 3];
            for (to, a) in args.iter_mut().zip(inst.operands()) {
                *to = sources[*a as usize];
            }
            let what = match inst.prim {
                P::Const(bits) => {
                    numbers.push(bits);
                    sources.push(Source::Number(numbers.len() - 1));
                    continue;
                }
                P::Splat(k) => {
                    sources.push(Source::Splat(k as usize, code.inputs[k as usize]));
                    continue;
                }
                P::Load(k) => What::Load(k as usize, code.inputs[k as usize]),
                P::At(k, i) => What::At(k as usize, i as usize * code.lanes.bytes()),
                P::Put(k, i) => {
                    let stream = code.inputs.len() + k as usize;
                    What::Put(stream, i as usize * code.lanes.bytes())
                }
                P::Store(k) => {
                    let stream = code.inputs.len() + k as usize;
                    What::Store(stream, code.outputs[k as usize])
                }
                prim @ P::Call(_) => What::Call(prim),
                prim => {
                    let one = args.map(|a| !matches!(a, Source::Tile(_)));
                    let places = match prim {
                        P::Shl(n) | P::Shr(n) => n,
                        _ => 0,
                    };
                    let variant = match one {
                        [false, false, false] => 0,
                        [true, false, false] => 1,
                        [false, true, false] => 2,
                        [false, false, true] => 3,
                        _ => 4,
                    };
                    // A loop that reads each operand by its own step takes the rest.
                    let steps = one
                        .iter()
                        .enumerate()
                        .fold(0, |all, (k, one)| all | u8::from(*one) << k);
                    let imm = if variant == 4 { steps } else { places };
                    let variant = match prim {
                        P::Shl(_) | P::Shr(_) if variant != 0 => 1,
                        _ => variant,
                    };
                    let imm = if matches!(prim, P::Shl(_) | P::Shr(_)) {
                        places
                    } else {
                        imm
                    };
                    let run = match (code.lanes, fast) {
                        (Lanes::W64, false) => baseline::wide(prim, variant),
                        (Lanes::W32, false) => baseline::narrow(prim, variant),
                        (Lanes::W64, true) => fastest::wide(prim, variant),
                        (Lanes::W32, true) => fastest::narrow(prim, variant),
                    };
                    What::Apply(run, imm)
                }
            };
            sources.push(Source::Tile(out));
            insts.push(TileInst { what, args, out });
        }
        TileCode {
            insts,
            numbers,
            tile,
            lanes: code.lanes,
        }
    }

    /// Runs over `count` elements of each stream.
    ///
    /// # Safety
    /// Inputs have `count` elements that hold what the region's dtypes say, or one where the region
    /// reads one; results have room for `count`; `tiles` has a tile for each value, and nothing else
    /// uses them meanwhile. Results overlap inputs only as the region allows. A tape runs over one
    /// element, and its arrays have the elements that it names.
    pub(super) unsafe fn run(&self, streams: &[*mut u8], count: usize, tiles: *mut u8) {
        let bytes = self.lanes.bytes();
        // A tile may be shorter where every run is.
        let most = TILE.min(self.tile / bytes).max(1);
        let mut from = 0;
        while from < count {
            let n = most.min(count - from);
            for inst in &self.insts {
                // SAFETY: the caller's promise; `n` elements from `from` on are inside the streams,
                // and `n` elements are inside a tile.
                unsafe { self.step(inst, streams, from, n, tiles) };
            }
            from += n;
        }
    }

    /// # Safety
    /// As [`TileCode::run`].
    #[inline(always)]
    unsafe fn step(
        &self,
        inst: &TileInst,
        streams: &[*mut u8],
        from: usize,
        n: usize,
        tiles: *mut u8,
    ) {
        let bytes = self.lanes.bytes();
        let read = |source: Source| -> *const u8 {
            match source {
                Source::Tile(at) => tiles.wrapping_add(at),
                Source::Number(k) => self.numbers[k..].as_ptr().cast(),
                Source::Splat(k, Elem::Lane) => streams[k],
                // SAFETY: the stream holds one bool.
                Source::Splat(k, Elem::Byte) => MASKS[usize::from(unsafe { *streams[k] } != 0)..]
                    .as_ptr()
                    .cast(),
            }
        };
        let out = tiles.wrapping_add(inst.out);
        match inst.what {
            // SAFETY: the caller's promise.
            What::Load(k, Elem::Lane) => unsafe {
                let source = streams[k].wrapping_add(from * bytes);
                std::ptr::copy_nonoverlapping(source, out, n * bytes);
            },
            // SAFETY: the caller's promise.
            What::Load(k, Elem::Byte) => unsafe {
                let source: &[u8] = std::slice::from_raw_parts(streams[k].wrapping_add(from), n);
                match self.lanes {
                    Lanes::W64 => masks(source, std::slice::from_raw_parts_mut(out.cast(), n)),
                    Lanes::W32 => masks32(source, std::slice::from_raw_parts_mut(out.cast(), n)),
                }
            },
            // SAFETY: the caller's promise.
            What::Store(k, elem) => unsafe {
                let to = streams[k];
                let source = read(inst.args[0]);
                let single = !matches!(inst.args[0], Source::Tile(_));
                match (elem, self.lanes) {
                    (Elem::Lane, _) if !single => {
                        std::ptr::copy_nonoverlapping(
                            source,
                            to.wrapping_add(from * bytes),
                            n * bytes,
                        );
                    }
                    (Elem::Lane, Lanes::W64) => {
                        let to: *mut u64 = to.cast();
                        std::slice::from_raw_parts_mut(to.add(from), n).fill(*source.cast());
                    }
                    (Elem::Lane, Lanes::W32) => {
                        let to: *mut u32 = to.cast();
                        std::slice::from_raw_parts_mut(to.add(from), n).fill(*source.cast());
                    }
                    (Elem::Byte, _) => {
                        let step = if single { 0 } else { bytes };
                        for i in 0..n {
                            *to.add(from + i) = *source.add(i * step) & 1;
                        }
                    }
                }
            },
            // SAFETY: the caller's promise: the stream has the element, and runs are of one element.
            What::At(k, at) => unsafe {
                std::ptr::copy_nonoverlapping(streams[k].wrapping_add(at), out, bytes);
            },
            // SAFETY: as above.
            What::Put(k, at) => unsafe {
                let source = read(inst.args[0]);
                std::ptr::copy_nonoverlapping(source, streams[k].wrapping_add(at), bytes);
            },
            What::Apply(run, imm) => {
                let args = inst.args.map(read);
                // SAFETY: the caller's promise; operands are tiles of `n` elements or one number, as
                // the loop was chosen for.
                unsafe { run(args, out, n, imm) }
            }
            What::Call(prim) => {
                let step = |source| usize::from(matches!(source, Source::Tile(_)));
                let (args, steps) = (inst.args.map(read), inst.args.map(step));
                for i in 0..n {
                    // SAFETY: the caller's promise: operands are tiles of `n` elements or one number.
                    unsafe {
                        let bits = |k: usize| args[k].add(i * steps[k] * bytes);
                        match self.lanes {
                            Lanes::W64 => {
                                let bits = |k| *bits(k).cast::<u64>();
                                let out: *mut u64 = out.cast();
                                *out.add(i) = alu_wide(prim, bits(0), bits(1), bits(2));
                            }
                            Lanes::W32 => {
                                let bits = |k| *bits(k).cast::<u32>();
                                let out: *mut u32 = out.cast();
                                *out.add(i) = alu_narrow(prim, bits(0), bits(1), bits(2));
                            }
                        }
                    }
                }
            }
        }
    }
}

fn masks(from: &[u8], to: &mut [u64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = if *from != 0 { u64::MAX } else { 0 };
    }
}

fn masks32(from: &[u8], to: &mut [u32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = if *from != 0 { u32::MAX } else { 0 };
    }
}

/// Every instruction that computes, so that one can be a constant of a loop; shifts stand for all.
const PRIMS: [Prim; 34] = [
    P::Sqrt,
    P::Round(R::Even),
    P::Round(R::Floor),
    P::Round(R::Ceil),
    P::Round(R::Trunc),
    P::Shl(0),
    P::Shr(0),
    P::IntToFloat,
    P::Add,
    P::Sub,
    P::Mul,
    P::Div,
    P::Min,
    P::Max,
    P::Cmp(C::Eq),
    P::Cmp(C::Lt),
    P::Cmp(C::Le),
    P::Cmp(C::Ne),
    P::Cmp(C::Unordered),
    P::And,
    P::Or,
    P::Xor,
    P::AndNot,
    P::IAdd,
    P::ISub,
    P::IMul,
    P::IEq,
    P::IGt,
    P::Zmul,
    P::Scale,
    P::Fma,
    P::Fms,
    P::Fnma,
    P::Blend,
];

/// The number of an instruction in [`PRIMS`].
fn number(prim: Prim) -> usize {
    let same = |p: &Prim| match (p, prim) {
        (P::Shl(_), P::Shl(_)) | (P::Shr(_), P::Shr(_)) => true,
        (p, prim) => *p == prim,
    };
    PRIMS.iter().position(same).unwrap_or(0)
}

/// Bits of one lane.
trait Word: Copy + 'static {
    fn alu(prim: Prim, a: Self, b: Self, c: Self) -> Self;
}

impl Word for u64 {
    #[inline(always)]
    fn alu(prim: Prim, a: u64, b: u64, c: u64) -> u64 {
        alu_wide(prim, a, b, c)
    }
}

impl Word for u32 {
    #[inline(always)]
    fn alu(prim: Prim, a: u32, b: u32, c: u32) -> u32 {
        alu_narrow(prim, a, b, c)
    }
}

/// One instruction over `n` elements. `V` says which operand is one number: none, the first, the
/// second, the third, or any, by the bits of `imm`.
///
/// # Safety
/// The operands have `n` elements, or one where they are numbers, and so has the result.
#[inline(always)]
unsafe fn apply<W: Word, const P: usize, const V: usize>(
    args: [*const u8; 3],
    out: *mut u8,
    n: usize,
    imm: u8,
) {
    let prim = match PRIMS[P] {
        P::Shl(_) => P::Shl(imm),
        P::Shr(_) => P::Shr(imm),
        prim => prim,
    };
    let arity = prim.arity();
    let [a, b, c] = args.map(|a| a.cast::<W>());
    let step = |k: usize| match V {
        4 => usize::from(imm >> k & 1 == 0),
        v => usize::from(v != k + 1),
    };
    let (i, j, k) = (step(0), step(1), step(2));
    let out: *mut W = out.cast();
    for at in 0..n {
        // SAFETY: the caller's promise.
        unsafe {
            let x = *a.add(at * i);
            let y = if arity > 1 { *b.add(at * j) } else { x };
            let z = if arity > 2 { *c.add(at * k) } else { x };
            *out.add(at) = W::alu(prim, x, y, z);
        }
    }
}

/// The loop of an instruction by its number in [`PRIMS`] and the variant.
macro_rules! pick {
    ($number:expr, $variant:expr, $apply:ident, $W:ident) => {
        pick!(@ $number, $variant, $apply, $W;
            1: 0 1 2 3 4 5 6 7;
            2: 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29;
            3: 30 31 32 33)
    };
    (@ $number:expr, $variant:expr, $apply:ident, $W:ident;
        1: $($one:literal)+; 2: $($two:literal)+; 3: $($three:literal)+) => {
        match ($number, $variant) {
            $(($one, 0) => $apply::<$W, $one, 0>,
            ($one, _) => $apply::<$W, $one, 1>,)+
            $(($two, 0) => $apply::<$W, $two, 0>,
            ($two, 1) => $apply::<$W, $two, 1>,
            ($two, 2) => $apply::<$W, $two, 2>,
            ($two, _) => $apply::<$W, $two, 4>,)+
            $(($three, 0) => $apply::<$W, $three, 0>,
            ($three, 1) => $apply::<$W, $three, 1>,
            ($three, 2) => $apply::<$W, $three, 2>,
            ($three, 3) => $apply::<$W, $three, 3>,
            ($three, _) => $apply::<$W, $three, 4>,)+
            _ => $apply::<$W, 0, 0>,
        }
    };
}
macro_rules! loops {
    ($name:ident $(, #[$feature:meta])?) => {
        mod $name {
            use super::{Loop, Prim, Word, number};

            $(#[$feature])?
            unsafe fn apply<W: Word, const P: usize, const V: usize>(
                args: [*const u8; 3],
                out: *mut u8,
                n: usize,
                imm: u8,
            ) {
                // SAFETY: the caller's promise.
                unsafe { super::apply::<W, P, V>(args, out, n, imm) }
            }

            pub(super) fn wide(prim: Prim, variant: usize) -> Loop {
                choose::<u64>(prim, variant)
            }

            pub(super) fn narrow(prim: Prim, variant: usize) -> Loop {
                choose::<u32>(prim, variant)
            }

            fn choose<W: Word>(prim: Prim, variant: usize) -> Loop {
                pick!(number(prim), variant, apply, W)
            }
        }
    };
}

loops!(baseline);
#[cfg(target_arch = "x86_64")]
loops!(fastest, #[target_feature(enable = "avx2,fma")]);
#[cfg(not(target_arch = "x86_64"))]
use self::baseline as fastest;
