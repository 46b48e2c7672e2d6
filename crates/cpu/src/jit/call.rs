//! Calls out of generated code: lanes that a mask names go through a row's meaning, one by one.
//!
//! Where an instruction calls, the body tests its mask and jumps behind the loop when a bit is set.
//! There a routine, one for each kernel, puts all vector registers into the frame, lets [`apply`]
//! change those of the result, and takes them back. So no value needs another place because of a call
//! that hardly ever happens.

use cotangent_compile::lane::{LaneCode, Lanes, Prim};
use cotangent_graph::ops::Unary;

use super::asm::{Asm, Form, RSP, Rm, form};
use super::body::LOAD;

/// Slots of the frame that the routine uses: one for each vector register.
pub(super) const SLOTS: i32 = 16;

/// A call that is still to be written.
#[derive(Clone, Copy)]
pub(super) struct Site {
    /// The distance of the jump to it.
    hole: usize,
    /// Where the body goes on.
    back: usize,
    /// What [`apply`] is to do.
    what: u32,
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
    mask: u8,
    x: u8,
    out: u8,
    one: bool,
) -> Site {
    let wide = lanes == Lanes::W64;
    let number = Unary::ALL.iter().position(|r| *r == row).unwrap_or(0) as u32;
    let what = number << 16
        | u32::from(one) << 13
        | u32::from(wide) << 12
        | u32::from(mask) << 8
        | u32::from(x) << 4
        | u32::from(out);
    let bits = Form {
        prefix: u8::from(wide),
        ..form(1, 0x50)
    };
    asm.vex(bits, 0, 0, Rm::Reg(mask));
    let hole = asm.jump_if_any();
    Site {
        hole,
        back: asm.bytes.len(),
        what,
    }
}

/// Writes what the sites jump to. The frame has [`SLOTS`] from an offset on, and the pool has the
/// address of [`apply`].
pub(super) fn finish(asm: &mut Asm, sites: &[Site], frame: i32, pool: i32) {
    if sites.is_empty() {
        return;
    }
    let mut calls = Vec::with_capacity(sites.len());
    for site in sites {
        asm.land(site.hole);
        calls.push(asm.call_with(site.what));
        asm.jump_back(site.back);
    }
    for hole in calls {
        asm.land(hole);
    }
    let room = asm.save_general();
    for r in 0..16 {
        let slot = Rm::Base(RSP, room + frame + 32 * i32::from(r));
        asm.vex(form(1, 0x11), r, 0, slot);
    }
    asm.call_out(room + frame, pool);
    for r in 0..16 {
        let slot = Rm::Base(RSP, room + frame + 32 * i32::from(r));
        asm.vex(LOAD, r, 0, slot);
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
/// `registers` are 16 vectors of 256 bits, and `what` is a number that [`test`] made.
#[cfg(target_arch = "x86_64")]
unsafe extern "sysv64" fn apply(what: u32, registers: *mut [u8; 32]) {
    let Some(row) = Unary::ALL.get((what >> 16) as usize) else {
        return;
    };
    let register = |shift: u32| (what >> shift & 15) as usize;
    // SAFETY: there are 16 of them, and the numbers are below 16.
    let (mask, x, out) = unsafe {
        (
            *registers.add(register(8)),
            *registers.add(register(4)),
            &mut *registers.add(register(0)),
        )
    };
    let one = what >> 13 & 1 == 1;
    if what >> 12 & 1 == 1 {
        let (out, _) = out.as_chunks_mut::<8>();
        let lanes = mask.as_chunks::<8>().0.iter().zip(x.as_chunks::<8>().0);
        for (out, (mask, x)) in out.iter_mut().zip(lanes) {
            if mask != &[0; 8] {
                *out = row.float(f64::from_le_bytes(*x)).to_le_bytes();
            }
            if one {
                break;
            }
        }
        if one && let [first, rest @ ..] = out {
            rest.fill(*first);
        }
    } else {
        let (out, _) = out.as_chunks_mut::<4>();
        let lanes = mask.as_chunks::<4>().0.iter().zip(x.as_chunks::<4>().0);
        for (out, (mask, x)) in out.iter_mut().zip(lanes) {
            if mask != &[0; 4] {
                *out = (row.float(f64::from(f32::from_le_bytes(*x))) as f32).to_le_bytes();
            }
            if one {
                break;
            }
        }
        if one && let [first, rest @ ..] = out {
            rest.fill(*first);
        }
    }
}
