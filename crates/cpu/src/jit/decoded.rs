//! Every instruction form that the emitter writes, read back by a decoder that others wrote.

use cotangent_compile::lane::Lanes;
use iced_x86::{Code, Decoder, DecoderOptions, Instruction, OpKind, Register};

use super::asm::{Asm, Form, RAX, RDX, RSI, RSP, Rm, Style, Width, form};
use super::forms::float as by_lanes;
use super::forms::{UPPER, WIDEN_FLOAT, WIDEN_INT, signs, single, within_half};

pub(super) const NARROW: Style = Style {
    width: Width::Narrow,
    flush: false,
};

const fn float(prefix: u8, opcode: u8) -> Form {
    let lanes = match prefix {
        1 => Lanes::W64,
        _ => Lanes::W32,
    };
    by_lanes(lanes, opcode)
}

const fn wide(opcode: u8) -> Form {
    Form {
        w: true,
        ..form(2, opcode)
    }
}

/// Forms of two sources and a result.
const THREE: &[(Form, &str)] = &[
    (float(1, 0x58), "Vaddpd"),
    (float(0, 0x58), "Vaddps"),
    (float(1, 0x5C), "Vsubpd"),
    (float(0, 0x5C), "Vsubps"),
    (float(1, 0x59), "Vmulpd"),
    (float(0, 0x59), "Vmulps"),
    (float(1, 0x5E), "Vdivpd"),
    (float(0, 0x5E), "Vdivps"),
    (float(1, 0x5D), "Vminpd"),
    (float(0, 0x5D), "Vminps"),
    (float(1, 0x5F), "Vmaxpd"),
    (float(0, 0x5F), "Vmaxps"),
    (float(1, 0x54), "Vandpd"),
    (float(0, 0x54), "Vandps"),
    (float(1, 0x55), "Vandnpd"),
    (float(0, 0x55), "Vandnps"),
    (float(1, 0x56), "Vorpd"),
    (float(0, 0x56), "Vorps"),
    (float(1, 0x57), "Vxorpd"),
    (float(0, 0x57), "Vxorps"),
    (form(1, 0xD4), "Vpaddq"),
    (form(1, 0xFE), "Vpaddd"),
    (form(1, 0xFB), "Vpsubq"),
    (form(1, 0xFA), "Vpsubd"),
    (form(2, 0x40), "Vpmulld"),
    (form(2, 0x29), "Vpcmpeqq"),
    (form(1, 0x76), "Vpcmpeqd"),
    (form(2, 0x37), "Vpcmpgtq"),
    (form(1, 0x66), "Vpcmpgtd"),
    (wide(0x98), "Vfmadd132pd"),
    (wide(0xA8), "Vfmadd213pd"),
    (wide(0xB8), "Vfmadd231pd"),
    (form(2, 0x98), "Vfmadd132ps"),
    (form(2, 0xA8), "Vfmadd213ps"),
    (form(2, 0xB8), "Vfmadd231ps"),
    (wide(0x9A), "Vfmsub132pd"),
    (wide(0xAA), "Vfmsub213pd"),
    (wide(0xBA), "Vfmsub231pd"),
    (form(2, 0x9A), "Vfmsub132ps"),
    (form(2, 0xAA), "Vfmsub213ps"),
    (form(2, 0xBA), "Vfmsub231ps"),
    (wide(0x9C), "Vfnmadd132pd"),
    (wide(0xAC), "Vfnmadd213pd"),
    (wide(0xBC), "Vfnmadd231pd"),
    (form(2, 0x9C), "Vfnmadd132ps"),
    (form(2, 0xAC), "Vfnmadd213ps"),
    (form(2, 0xBC), "Vfnmadd231ps"),
];

/// Forms of one source and a result.
const TWO: &[(Form, &str)] = &[
    (float(1, 0x51), "Vsqrtpd"),
    (float(0, 0x51), "Vsqrtps"),
    (float(0, 0x5B), "Vcvtdq2ps"),
    (form(1, 0x10), "Vmovupd"),
];

/// As [`THREE`], with a number behind; the last two have a register in it.
const NUMBERED: &[(Form, &str)] = &[
    (float(1, 0xC2), "Vcmppd"),
    (float(0, 0xC2), "Vcmpps"),
    (form(3, 0x4B), "Vblendvpd"),
    (form(3, 0x4A), "Vblendvps"),
];

pub(super) const PLACES: &[Rm] = &[
    Rm::Reg(2),
    Rm::Reg(13),
    Rm::Base(RDX, 0x140),
    Rm::Base(RSP, 0x60),
    Rm::Base(RSI, 0x40),
    Rm::Base(RAX, 8),
    Rm::Base(12, 0x7FF8),
    Rm::Base(13, 0),
    Rm::Indexed(13, 3, 32),
    Rm::Indexed(RAX, 2, 0),
    Rm::Indexed(12, 3, 0),
];

pub(super) fn decode(bytes: &[u8]) -> Instruction {
    let mut decoder = Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE);
    let found = decoder.decode();
    assert_ne!(found.code(), Code::INVALID, "{bytes:x?}");
    assert_eq!(found.len(), bytes.len(), "{found:?}");
    found
}

fn general(r: u8) -> Register {
    const ALL: [Register; 16] = [
        Register::RAX,
        Register::RCX,
        Register::RDX,
        Register::RBX,
        Register::RSP,
        Register::RBP,
        Register::RSI,
        Register::RDI,
        Register::R8,
        Register::R9,
        Register::R10,
        Register::R11,
        Register::R12,
        Register::R13,
        Register::R14,
        Register::R15,
    ];
    ALL[r as usize]
}

pub(super) fn vector(r: u8) -> Register {
    Register::YMM0 + u32::from(r)
}

pub(super) fn same_place(found: &Instruction, operand: u32, rm: Rm) {
    match rm {
        Rm::Reg(r) => assert_eq!(found.op_register(operand), vector(r), "{found:?}"),
        Rm::Base(base, offset) => {
            assert_eq!(found.op_kind(operand), OpKind::Memory);
            assert_eq!(found.memory_base(), general(base), "{found:?}");
            assert_eq!(found.memory_index(), Register::None);
            assert_eq!(found.memory_displacement64() as i32, offset);
        }
        Rm::Indexed(base, scale, offset) => {
            assert_eq!(found.op_kind(operand), OpKind::Memory);
            assert_eq!(found.memory_base(), general(base), "{found:?}");
            assert_eq!(found.memory_index(), Register::RCX);
            assert_eq!(found.memory_index_scale(), 1 << scale);
            assert_eq!(found.memory_displacement64() as i32, offset);
        }
    }
}

#[test]
fn vector_instructions_are_read_back() {
    let name = |found: &Instruction| format!("{:?}", found.mnemonic());
    for rm in PLACES {
        for (d, x) in [(1, 7), (9, 3), (4, 15), (14, 10)] {
            for (form, expected) in THREE {
                let mut asm = Asm::new(NARROW);
                asm.vector(*form, d, x, *rm);
                let found = decode(&asm.bytes);
                assert_eq!(name(&found), *expected);
                assert_eq!(
                    (found.op_register(0), found.op_register(1)),
                    (vector(d), vector(x))
                );
                same_place(&found, 2, *rm);
            }
            for (form, expected) in NUMBERED {
                let mut asm = Asm::new(NARROW);
                asm.vector_with(*form, d, x, *rm, 0x50);
                let found = decode(&asm.bytes);
                assert_eq!(name(&found), *expected);
                assert_eq!(
                    (found.op_register(0), found.op_register(1)),
                    (vector(d), vector(x))
                );
                same_place(&found, 2, *rm);
                if expected.starts_with("Vblend") {
                    assert_eq!(found.op_register(3), vector(5));
                }
            }
            for (form, expected) in TWO {
                let mut asm = Asm::new(NARROW);
                asm.vector(*form, d, 0, *rm);
                let found = decode(&asm.bytes);
                assert_eq!(name(&found), *expected);
                assert_eq!(found.op_register(0), vector(d));
                same_place(&found, 1, *rm);
            }
            for (form, expected) in [(form(3, 0x09), "Vroundpd"), (form(3, 0x08), "Vroundps")] {
                let mut asm = Asm::new(NARROW);
                asm.vector_with(form, d, 0, *rm, 9);
                let found = decode(&asm.bytes);
                assert_eq!((name(&found).as_str(), found.immediate8()), (expected, 9));
                assert_eq!(found.op_register(0), vector(d));
                same_place(&found, 1, *rm);
            }
            if let Rm::Reg(_) = rm {
                let shifts = [
                    (0x73, 6, "Vpsllq"),
                    (0x73, 2, "Vpsrlq"),
                    (0x72, 6, "Vpslld"),
                    (0x72, 2, "Vpsrld"),
                ];
                for (opcode, digit, expected) in shifts {
                    let mut asm = Asm::new(NARROW);
                    asm.vector_with(form(1, opcode), digit, d, *rm, 23);
                    let found = decode(&asm.bytes);
                    assert_eq!((name(&found).as_str(), found.immediate8()), (expected, 23));
                    assert_eq!(found.op_register(0), vector(d));
                    same_place(&found, 1, *rm);
                }
                continue;
            }
            // Forms that are for memory only.
            for (opcode, expected) in [(0x2C, "Vmaskmovps"), (0x2D, "Vmaskmovpd")] {
                let mut asm = Asm::new(NARROW);
                asm.vector(form(2, opcode), d, x, *rm);
                let found = decode(&asm.bytes);
                assert_eq!(name(&found), expected);
                assert_eq!(
                    (found.op_register(0), found.op_register(1)),
                    (vector(d), vector(x))
                );
                same_place(&found, 2, *rm);
                let mut asm = Asm::new(NARROW);
                asm.vector(form(2, opcode + 2), d, x, *rm);
                let found = decode(&asm.bytes);
                assert_eq!(name(&found), expected);
                assert_eq!(
                    (found.op_register(1), found.op_register(2)),
                    (vector(x), vector(d))
                );
                same_place(&found, 0, *rm);
            }
            for (opcode, expected) in [(0x18, "Vbroadcastss"), (0x19, "Vbroadcastsd")] {
                let mut asm = Asm::new(NARROW);
                asm.vector(form(2, opcode), d, 0, *rm);
                assert_eq!(name(&decode(&asm.bytes)), expected);
            }
            for (lanes, expected) in [(Lanes::W64, "Vmovsd"), (Lanes::W32, "Vmovss")] {
                let mut asm = Asm::new(NARROW);
                asm.vector(single(lanes), d, 0, *rm);
                let found = decode(&asm.bytes);
                assert_eq!(name(&found), expected);
                assert_eq!(found.op_register(1), Register::XMM0 + u32::from(d));
                same_place(&found, 0, *rm);
            }
            for (opcode, expected) in [(0x11, "Vmovupd"), (0x29, "Vmovapd")] {
                let mut asm = Asm::new(NARROW);
                asm.vector(form(1, opcode), d, 0, *rm);
                let found = decode(&asm.bytes);
                assert_eq!(
                    (name(&found).as_str(), found.op_register(1)),
                    (expected, vector(d))
                );
                same_place(&found, 0, *rm);
            }
        }
    }
}

#[test]
fn forms_between_halves_are_read_back() {
    let half = |r: u8| Register::XMM0 + u32::from(r);
    for (d, x) in [(1, 7), (9, 3), (4, 15), (14, 10)] {
        for (form, expected) in [(WIDEN_FLOAT, "Vcvtps2pd"), (WIDEN_INT, "Vpmovsxdq")] {
            let mut asm = Asm::new(NARROW);
            asm.vector(form, d, 0, Rm::Reg(x));
            let found = decode(&asm.bytes);
            assert_eq!(format!("{:?}", found.mnemonic()), expected);
            assert_eq!(
                (found.op_register(0), found.op_register(1)),
                (vector(d), half(x))
            );
        }
        let mut asm = Asm::new(NARROW);
        asm.vector_with(UPPER, d, 0, Rm::Reg(x), 1);
        let found = decode(&asm.bytes);
        assert_eq!(format!("{:?}", found.mnemonic()), "Vextractf128");
        assert_eq!(
            (found.op_register(0), found.op_register(1)),
            (half(x), vector(d))
        );
        assert_eq!(found.immediate8(), 1);
        for (lanes, expected) in [(Lanes::W64, "Vpermilpd"), (Lanes::W32, "Vpermilps")] {
            let mut asm = Asm::new(NARROW);
            asm.vector_with(within_half(lanes), d, 0, Rm::Reg(x), 0x4E);
            let found = decode(&asm.bytes);
            assert_eq!(format!("{:?}", found.mnemonic()), expected);
            assert_eq!(
                (found.op_register(0), found.op_register(1)),
                (vector(d), vector(x))
            );
            assert_eq!(found.immediate8(), 0x4E);
        }
        let mut asm = Asm::new(NARROW);
        asm.vector_with(form(1, 0xC2), d, x, Rm::Reg(d), 3);
        assert_eq!(format!("{:?}", decode(&asm.bytes).mnemonic()), "Vcmppd");
    }
}

#[test]
fn loops_over_leaves_are_read_back() {
    let mut asm = Asm::new(NARROW);
    asm.keep_count(96);
    let top = asm.bytes.len();
    asm.next_part(96, 256);
    asm.part_address(3, 8, 3);
    asm.jump_back_if_left(96, top);
    let lines: Vec<String> = Decoder::with_ip(64, &asm.bytes, 0, DecoderOptions::NONE)
        .iter()
        .map(|i| {
            let place = [0, 1].map(|k| match i.op_kind(k) {
                OpKind::Register => format!("{:?}", i.op_register(k)),
                OpKind::Memory => {
                    let (base, index) = (i.memory_base(), i.memory_index());
                    format!("[{base:?}+{index:?}+{}]", i.memory_displacement64() as i64)
                }
                OpKind::NearBranch64 => format!("to {}", i.near_branch64()),
                _ => format!("{}", i.immediate(k)),
            });
            format!("{:?} {}", i.mnemonic(), place.join(" "))
        })
        .collect();
    let expected = [
        "Mov [RSP+None+96] RSI".to_owned(),
        "Lea RAX [RCX+None+256]".to_owned(),
        "Mov RSI [RSP+None+96]".to_owned(),
        "Cmp RAX RSI".to_owned(),
        "Cmovb RSI RAX".to_owned(),
        "Lea RAX [RCX+None+-1]".to_owned(),
        "Shr RAX 8".to_owned(),
        "Shl RAX 3".to_owned(),
        "Add RAX [RDI+None+24]".to_owned(),
        "Cmp RCX [RSP+None+96]".to_owned(),
    ];
    let (last, first) = lines.split_last().unwrap();
    assert_eq!(first, expected);
    assert!(last.starts_with(&format!("Jb to {top} ")), "{last}");
}

/// The rest as the decoder prints it.
#[test]
fn loops_are_read_back() {
    let mut asm = Asm::new(NARROW);
    let room = asm.enter();
    asm.load_address(9, 5);
    asm.load_address(3, 2);
    asm.clear_index();
    let out = asm.jump_unless_left(8);
    let top = asm.bytes.len();
    asm.add_index(8);
    asm.jump_back_while_left(8, top);
    asm.jump_back(top);
    asm.land(out);
    let end = asm.jump_or_count();
    asm.mask_address(3, 128);
    asm.land(end);
    let last = asm.bytes.len() as u64;
    asm.leave();
    asm.fill(room, 64);
    let names: Vec<String> = Decoder::with_ip(64, &asm.bytes, 0, DecoderOptions::NONE)
        .iter()
        .map(|i| format!("{:?}", i.mnemonic()))
        .collect();
    let expected = "Push Mov Push Push Push Push Push Sub And Mov Mov Xor Lea Cmp Ja Add Lea Cmp Jbe Jmp \
                    Mov Sub Jle Neg Lea Lea Pop Pop Pop Pop Pop Pop Vzeroupper Ret";
    assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
    let all: Vec<Instruction> = Decoder::with_ip(64, &asm.bytes, 0, DecoderOptions::NONE)
        .iter()
        .collect();
    let load = &all[9];
    assert_eq!(load.op_register(0), Register::R9);
    assert_eq!(
        (load.memory_base(), load.memory_displacement64()),
        (Register::RDI, 40)
    );
    assert_eq!(all[7].immediate32to64(), 64);
    assert_eq!(all[18].near_branch_target(), top as u64);
    assert_eq!(all[19].near_branch_target(), top as u64);
    assert_eq!(all[14].near_branch_target(), all[20].ip());
    assert_eq!(all[22].near_branch_target(), last);
    let mask = &all[24];
    assert_eq!(
        (mask.memory_base(), mask.memory_index()),
        (Register::RDX, Register::RAX)
    );
    assert_eq!(
        (mask.memory_index_scale(), mask.memory_displacement64()),
        (8, 128)
    );
    let pops = [
        Register::R15,
        Register::R14,
        Register::R13,
        Register::R12,
        Register::RBX,
        Register::RBP,
    ];
    for (found, register) in all[26..32].iter().zip(pops) {
        assert_eq!(found.op_register(0), register);
    }
}

/// Loops over steps, up and down.
#[test]
fn steps_are_read_back() {
    for (reverse, expected) in [(false, "Xor Add Cmp Jl"), (true, "Lea Add Jns")] {
        let mut asm = Asm::new(NARROW);
        asm.first_step(reverse);
        let top = asm.bytes.len() as u64;
        asm.next_step(reverse, top as usize);
        let all: Vec<Instruction> = Decoder::with_ip(64, &asm.bytes, 0, DecoderOptions::NONE)
            .iter()
            .collect();
        let names: Vec<String> = all.iter().map(|i| format!("{:?}", i.mnemonic())).collect();
        assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
        assert_eq!(all[all.len() - 1].near_branch_target(), top);
        if reverse {
            let first = &all[0];
            assert_eq!(first.op_register(0), Register::RCX);
            assert_eq!(first.memory_base(), Register::RSI);
            assert_eq!(first.memory_displacement64() as i64, -1);
            assert_eq!(all[1].immediate32to64(), -1);
        } else {
            let compare = &all[2];
            assert_eq!(compare.op_register(0), Register::RCX);
            assert_eq!(compare.op_register(1), Register::RSI);
        }
    }
}

/// What calls out of the code are made of.
#[test]
fn calls_are_read_back() {
    for (lanes, expected) in [(Lanes::W64, "Vmovmskpd"), (Lanes::W32, "Vmovmskps")] {
        for r in [0, 6, 15] {
            let mut asm = Asm::new(NARROW);
            asm.vector(signs(lanes), 0, 0, Rm::Reg(r));
            let found = decode(&asm.bytes);
            assert_eq!(format!("{:?}", found.mnemonic()), expected);
            assert_eq!(found.op_register(0), Register::EAX);
            assert_eq!(found.op_register(1), vector(r));
        }
    }
    let mut asm = Asm::new(NARROW);
    let hole = asm.jump_if_any();
    let back = asm.bytes.len();
    asm.land(hole);
    let far = asm.bytes.len() as u64;
    let call = asm.call_with(0x1234_5678);
    asm.jump_back(back);
    asm.land(call);
    let routine = asm.bytes.len() as u64;
    assert_eq!(asm.save_general(), 80);
    asm.call_out(0x160, 0x240);
    asm.restore_general();
    let all: Vec<Instruction> = Decoder::with_ip(64, &asm.bytes, 0, DecoderOptions::NONE)
        .iter()
        .collect();
    let names: Vec<String> = all.iter().map(|i| format!("{:?}", i.mnemonic())).collect();
    let expected = "Test Jne Mov Call Jmp Push Push Push Push Push Push Push Push Sub \
                    Vzeroupper Mov Lea Call Add Pop Pop Pop Pop Pop Pop Pop Pop Ret";
    assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
    assert_eq!(all[1].near_branch_target(), far);
    assert_eq!(all[2].op_register(0), Register::EAX);
    assert_eq!(all[2].immediate32(), 0x1234_5678);
    assert_eq!(all[3].near_branch_target(), routine);
    assert_eq!(all[4].near_branch_target(), back as u64);
    assert_eq!(all[13].immediate32to64(), 8);
    assert_eq!(all[15].op_register(0), Register::EDI);
    assert_eq!(all[15].op_register(1), Register::EAX);
    assert_eq!(all[16].op_register(0), Register::RSI);
    assert_eq!(all[16].memory_base(), Register::RSP);
    assert_eq!(all[16].memory_displacement64(), 0x160);
    assert_eq!(all[17].memory_base(), Register::RDX);
    assert_eq!(all[17].memory_displacement64(), 0x240);
    // What is pushed last is popped first.
    for (push, pop) in all[5..13].iter().zip(all[19..27].iter().rev()) {
        assert_eq!(push.op_register(0), pop.op_register(0));
    }
    let pushed: Vec<Register> = all[5..13].iter().map(|i| i.op_register(0)).collect();
    let general = [7, 6, 2, 1, 8, 9, 10, 11].map(general);
    assert_eq!(pushed, general);
}

/// The control register is set where code begins, and is the caller's where it ends.
#[test]
fn flushing_is_read_back() {
    let mut asm = Asm::new(Style {
        width: Width::Narrow,
        flush: true,
    });
    asm.enter();
    asm.leave();
    let all: Vec<Instruction> = Decoder::with_ip(64, &asm.bytes, 0, DecoderOptions::NONE)
        .iter()
        .collect();
    let control = |i: &&Instruction| matches!(i.memory_base(), Register::RBP) && i.op_count() < 3;
    let found: Vec<(String, i64)> = all
        .iter()
        .filter(control)
        .map(|i| {
            (
                format!("{:?}", i.mnemonic()),
                i.memory_displacement64() as i64,
            )
        })
        .collect();
    let expected = [
        ("Stmxcsr", -44),
        ("Mov", -44),
        ("Mov", -48),
        ("Ldmxcsr", -48),
        ("Ldmxcsr", -44),
        // The stack pointer is taken back behind what was saved.
        ("Lea", -40),
    ];
    assert_eq!(found, expected.map(|(name, at)| (name.to_owned(), at)));
    let or = all
        .iter()
        .find(|i| format!("{:?}", i.mnemonic()) == "Or")
        .unwrap();
    assert_eq!(
        (or.op_register(0), or.immediate32()),
        (Register::EAX, 0x8040)
    );
}
