//! What is hardly ever done, behind the loop: lanes that a mask names go through a row's meaning, one by one,
//! and products that are NaN are looked at again.
//!
//! The body tests and jumps there when a bit is set. For rows there is a routine, one for each kernel: it puts
//! all vector registers into the frame, lets [`apply`] change those of the result, and takes them back. So no
//! value needs another place because of what hardly ever happens.

use cotangent_compile::lane::{LaneCode, Lanes, Prim};
use cotangent_graph::ops::Unary;

use super::asm::{Asm, K1, Lanewise, RSP, Rm, Width};
use super::forms::{LOAD, STORE, TO_MASK, signs};
use super::zmul::{self, Product};

/// Slots of the frame that the routine uses: one for each vector register.
pub(super) fn slots(width: Width) -> i32 {
    i32::from(width.registers())
}

/// A place that the body jumps to, still to be written.
#[derive(Clone)]
pub(super) struct Site {
    /// The distance of the jump to it.
    pub(super) hole: usize,
    /// Where the body goes on.
    pub(super) back: usize,
    pub(super) what: What,
}

/// What is done there.
#[derive(Clone)]
pub(super) enum What {
    /// A call of the routine with this number.
    Row(u32),
    /// Products with a strong zero.
    Products(Vec<Product>),
}

/// Whether the code calls anything.
pub(super) fn calls(code: &LaneCode) -> bool {
    code.insts.iter().any(|i| matches!(i.prim, Prim::Call(_)))
}

/// Writes the test of a mask: a row of the operand where it is set, to a register that has the other
/// result already. With `one` all lanes hold the same number, and it is computed once.
pub(super) fn test(
    asm: &mut Asm,
    lanes: Lanes,
    row: Unary,
    [mask, x, out]: [u8; 3],
    one: bool,
) -> Site {
    let wide = lanes == Lanes::W64;
    let number = Unary::ALL.iter().position(|r| *r == row).unwrap_or(0) as u32;
    let what = number << 18
        | u32::from(asm.width == Width::Wide) << 17
        | u32::from(one) << 16
        | u32::from(wide) << 15
        | u32::from(mask) << 10
        | u32::from(x) << 5
        | u32::from(out);
    let hole = match asm.width {
        Width::Narrow => {
            asm.vex(signs(lanes), 0, 0, Rm::Reg(mask));
            asm.jump_if_any()
        }
        Width::Wide => {
            asm.evex(TO_MASK.wide(wide), K1, 0, Rm::Reg(mask), Lanewise::All);
            asm.jump_if_named(K1)
        }
    };
    Site {
        hole,
        back: asm.bytes.len(),
        what: What::Row(what),
    }
}

/// Writes what the sites jump to. Where rows are called, the frame has [`slots`] from an offset on, and the
/// pool has the address of [`apply`].
pub(super) fn finish(asm: &mut Asm, lanes: Lanes, sites: &[Site], frame: i32, pool: i32) {
    let mut calls = Vec::new();
    for site in sites {
        asm.land(site.hole);
        match &site.what {
            What::Row(what) => calls.push(asm.call_with(*what)),
            What::Products(products) => {
                products.iter().for_each(|p| zmul::repair(asm, lanes, p));
            }
        }
        asm.jump_back(site.back);
    }
    if calls.is_empty() {
        return;
    }
    for hole in calls {
        asm.land(hole);
    }
    let room = asm.save_general();
    let bytes = asm.width.bytes() as i32;
    let slot = |r: u8| Rm::Base(RSP, room + frame + bytes * i32::from(r));
    if asm.width == Width::Wide {
        asm.tail_to_stack();
    }
    for r in 0..asm.width.registers() {
        asm.vector(STORE, r, 0, slot(r));
    }
    // What is called is not made for another mxcsr.
    asm.flush_subnormals(false);
    asm.call_out(room + frame, pool);
    asm.flush_subnormals(true);
    for r in 0..asm.width.registers() {
        asm.vector(LOAD, r, 0, slot(r));
    }
    if asm.width == Width::Wide {
        asm.tail_from_stack();
    }
    asm.restore_general();
}

/// The address of [`apply`], for the pool.
pub(super) fn address() -> [u8; 8] {
    #[cfg(target_arch = "x86_64")]
    let address = apply as *const () as usize as u64;
    #[cfg(not(target_arch = "x86_64"))]
    let address = 0_u64;
    address.to_le_bytes()
}

/// Computes the lanes of a result that a mask names.
///
/// # Safety
/// `registers` are all vector registers of the width that `what` says, a number that [`test`] made.
#[cfg(target_arch = "x86_64")]
unsafe extern "sysv64" fn apply(what: u32, registers: *mut u8) {
    let Some(row) = Unary::ALL.get((what >> 18) as usize) else {
        return;
    };
    // SAFETY: the numbers of registers are below that of the width's registers.
    unsafe {
        match what >> 17 & 1 {
            0 => lanes::<32>(*row, what, registers.cast()),
            _ => lanes::<64>(*row, what, registers.cast()),
        }
    }
}

/// # Safety
/// As [`apply`].
#[cfg(target_arch = "x86_64")]
unsafe fn lanes<const BYTES: usize>(row: Unary, what: u32, registers: *mut [u8; BYTES]) {
    let register = |shift: u32| (what >> shift & 31) as usize;
    // SAFETY: the caller's promise.
    let (mask, x, out) = unsafe {
        (
            *registers.add(register(10)),
            *registers.add(register(5)),
            &mut *registers.add(register(0)),
        )
    };
    let one = what >> 16 & 1 == 1;
    if what >> 15 & 1 == 1 {
        let wide = |x: [u8; 8]| row.float(f64::from_le_bytes(x)).to_le_bytes();
        named::<8>(&mask, &x, out, one, wide);
    } else {
        let narrow = |x| (row.float(f64::from(f32::from_le_bytes(x))) as f32).to_le_bytes();
        named::<4>(&mask, &x, out, one, narrow);
    }
}

/// A function of the lanes that a mask names, or of one that then stands in all of them.
#[cfg(target_arch = "x86_64")]
fn named<const N: usize>(
    mask: &[u8],
    x: &[u8],
    out: &mut [u8],
    one: bool,
    f: impl Fn([u8; N]) -> [u8; N],
) {
    let (out, _) = out.as_chunks_mut::<N>();
    let lanes = mask.as_chunks::<N>().0.iter().zip(x.as_chunks::<N>().0);
    for (out, (mask, x)) in out.iter_mut().zip(lanes) {
        if mask != &[0; N] {
            *out = f(*x);
        }
        if one {
            break;
        }
    }
    if one && let [first, rest @ ..] = out {
        rest.fill(*first);
    }
}
