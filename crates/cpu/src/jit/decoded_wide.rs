//! The instruction forms on 512 bits, read back by a decoder that others wrote.

use cotangent_compile::lane::Lanes::{self, W32, W64};
use iced_x86::{Code, Decoder, DecoderOptions, Instruction, OpKind, Register};

use super::asm::{Asm, Form, K1, K2, Lanewise, RDX, RSP, Rm, Style, TAIL, Width, form};
use super::forms;
use super::forms::{
    CLASS, FROM_MASK, LOAD, LOGIC, SCALE, STORE, STORE_ALIGNED, TO_MASK, UPPER, UPPER_WIDE,
    WIDEN_FLOAT, WIDEN_INT, float, range, spread, within_half,
};
use super::moves;

const WIDE: Style = Style {
    width: Width::Wide,
    flush: false,
};

fn all(asm: &Asm) -> Vec<Instruction> {
    let found: Vec<Instruction> = Decoder::with_ip(64, &asm.bytes, 0, DecoderOptions::NONE)
        .iter()
        .collect();
    assert!(
        found.iter().all(|i| i.code() != Code::INVALID),
        "{:x?}",
        asm.bytes
    );
    found
}

fn one(asm: &Asm) -> Instruction {
    let found = all(asm);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0]
}

fn name(found: &Instruction) -> String {
    format!("{:?}", found.mnemonic())
}

fn vector(r: u8) -> Register {
    Register::ZMM0 + u32::from(r)
}

fn half(r: u8) -> Register {
    Register::YMM0 + u32::from(r)
}

fn quarter(r: u8) -> Register {
    Register::XMM0 + u32::from(r)
}

fn mask(k: u8) -> Register {
    Register::K0 + u32::from(k)
}

const REGISTERS: [u8; 6] = [0, 3, 9, 14, 22, 31];
const PLACES: [Rm; 7] = [
    Rm::Reg(2),
    Rm::Reg(13),
    Rm::Reg(29),
    Rm::Base(RDX, 0x140),
    Rm::Base(RSP, 0x60),
    Rm::Base(12, 0x7FF8),
    Rm::Indexed(13, 3, 64),
];

fn same_place(found: &Instruction, operand: u32, rm: Rm) {
    match rm {
        Rm::Reg(r) => assert_eq!(found.op_register(operand), vector(r), "{found:?}"),
        Rm::Base(base, offset) | Rm::Indexed(base, _, offset) => {
            assert_eq!(found.op_kind(operand), OpKind::Memory);
            let expected = match base {
                RDX => Register::RDX,
                RSP => Register::RSP,
                12 => Register::R12,
                _ => Register::R13,
            };
            assert_eq!(found.memory_base(), expected, "{found:?}");
            assert_eq!(found.memory_displacement64() as i32, offset);
            let index = match rm {
                Rm::Indexed(..) => Register::RCX,
                _ => Register::None,
            };
            assert_eq!(found.memory_index(), index);
        }
    }
}

/// Two sources and a result, with an optional number.
const THREE: &[(u8, &str)] = &[
    (0x58, "Vadd"),
    (0x5C, "Vsub"),
    (0x59, "Vmul"),
    (0x5E, "Vdiv"),
    (0x5D, "Vmin"),
    (0x5F, "Vmax"),
    (0x54, "Vand"),
    (0x55, "Vandn"),
    (0x56, "Vor"),
    (0x57, "Vxor"),
];

const INTEGERS: &[(Form, &str)] = &[
    (form(1, 0xD4).wide(true), "Vpaddq"),
    (form(1, 0xFE), "Vpaddd"),
    (form(1, 0xFB).wide(true), "Vpsubq"),
    (form(1, 0xFA), "Vpsubd"),
    (form(2, 0x40), "Vpmulld"),
    (SCALE.wide(true), "Vscalefpd"),
    (SCALE, "Vscalefps"),
];

fn suffix(lanes: Lanes) -> &'static str {
    match lanes {
        W64 => "pd",
        W32 => "ps",
    }
}

#[test]
fn results_of_two_sources_are_read_back() {
    let floats = THREE.iter().flat_map(|(opcode, name)| {
        [W64, W32].map(|lanes| (float(lanes, *opcode), format!("{name}{}", suffix(lanes))))
    });
    let fused = [
        (0x98, "Vfmadd132"),
        (0xAA, "Vfmsub213"),
        (0xBC, "Vfnmadd231"),
    ];
    let fused = fused.into_iter().flat_map(|(opcode, name)| {
        [W64, W32].map(|lanes| {
            (
                form(2, opcode).wide(lanes == W64),
                format!("{name}{}", suffix(lanes)),
            )
        })
    });
    let integers = INTEGERS
        .iter()
        .map(|(form, name)| (*form, (*name).to_owned()));
    for (form, expected) in floats.chain(fused).chain(integers) {
        for rm in PLACES {
            for (d, x) in REGISTERS.iter().zip(REGISTERS.iter().rev()) {
                let mut asm = Asm::new(WIDE);
                asm.vector(form, *d, *x, rm);
                let found = one(&asm);
                assert_eq!(name(&found), expected);
                assert_eq!(
                    (found.op_register(0), found.op_register(1)),
                    (vector(*d), vector(*x))
                );
                assert_eq!(found.op_mask(), Register::None);
                same_place(&found, 2, rm);
            }
        }
    }
}

#[test]
fn results_of_one_source_are_read_back() {
    let forms = [
        (float(W64, 0x51), "Vsqrtpd"),
        (float(W32, 0x51), "Vsqrtps"),
        (
            Form {
                prefix: 0,
                ..form(1, 0x5B)
            },
            "Vcvtdq2ps",
        ),
        (LOAD, "Vmovupd"),
    ];
    for rm in PLACES {
        for d in REGISTERS {
            for (form, expected) in forms {
                let mut asm = Asm::new(WIDE);
                asm.vector(form, d, 0, rm);
                let found = one(&asm);
                assert_eq!(
                    (name(&found).as_str(), found.op_register(0)),
                    (expected, vector(d))
                );
                same_place(&found, 1, rm);
            }
            for (opcode, wide, expected) in
                [(0x09, true, "Vrndscalepd"), (0x08, false, "Vrndscaleps")]
            {
                let mut asm = Asm::new(WIDE);
                asm.vector_with(form(3, opcode).wide(wide), d, 0, rm, 9);
                let found = one(&asm);
                assert_eq!((name(&found).as_str(), found.immediate8()), (expected, 9));
                same_place(&found, 1, rm);
            }
            for (lanes, expected) in [(W64, "Vrangepd"), (W32, "Vrangeps")] {
                let mut asm = Asm::new(WIDE);
                asm.evex_with(range(lanes), [d, 7], rm, Lanewise::All, 5);
                let found = one(&asm);
                assert_eq!((name(&found).as_str(), found.immediate8()), (expected, 5));
                assert_eq!(
                    (found.op_register(0), found.op_register(1)),
                    (vector(d), vector(7))
                );
                same_place(&found, 2, rm);
            }
            for (lanes, expected) in [(W64, "Vpermilpd"), (W32, "Vpermilps")] {
                let mut asm = Asm::new(WIDE);
                asm.vector_with(within_half(lanes), d, 0, rm, 0x55);
                let found = one(&asm);
                assert_eq!(
                    (name(&found).as_str(), found.immediate8()),
                    (expected, 0x55)
                );
                assert_eq!(found.op_register(0), vector(d));
                same_place(&found, 1, rm);
            }
            for (opcode, digit, wide, expected) in [
                (0x73, 6, true, "Vpsllq"),
                (0x73, 2, true, "Vpsrlq"),
                (0x72, 6, false, "Vpslld"),
                (0x72, 2, false, "Vpsrld"),
            ] {
                let mut asm = Asm::new(WIDE);
                asm.vector_with(form(1, opcode).wide(wide), digit, d, rm, 23);
                let found = one(&asm);
                assert_eq!((name(&found).as_str(), found.immediate8()), (expected, 23));
                assert_eq!(found.op_register(0), vector(d));
                same_place(&found, 1, rm);
            }
            let Rm::Reg(r) = rm else {
                for (form, expected) in [(STORE, "Vmovupd"), (STORE_ALIGNED, "Vmovapd")] {
                    let mut asm = Asm::new(WIDE);
                    asm.vector(form, d, 0, rm);
                    let found = one(&asm);
                    assert_eq!(
                        (name(&found).as_str(), found.op_register(1)),
                        (expected, vector(d))
                    );
                    same_place(&found, 0, rm);
                }
                for (lanes, expected) in [(W64, "Vbroadcastsd"), (W32, "Vbroadcastss")] {
                    let mut asm = Asm::new(WIDE);
                    asm.vector(spread(lanes), d, 0, rm);
                    let found = one(&asm);
                    assert_eq!(
                        (name(&found).as_str(), found.op_register(0)),
                        (expected, vector(d))
                    );
                }
                continue;
            };
            for (form, expected) in [(WIDEN_FLOAT, "Vcvtps2pd"), (WIDEN_INT, "Vpmovsxdq")] {
                let mut asm = Asm::new(WIDE);
                asm.vector(form, d, 0, rm);
                let found = one(&asm);
                assert_eq!(name(&found), expected);
                assert_eq!(
                    (found.op_register(0), found.op_register(1)),
                    (vector(d), half(r))
                );
            }
            let mut asm = Asm::new(WIDE);
            asm.vector_with(UPPER_WIDE, d, 0, rm, 1);
            let found = one(&asm);
            assert_eq!(
                (name(&found).as_str(), found.immediate8()),
                ("Vextractf64x4", 1)
            );
            assert_eq!(
                (found.op_register(0), found.op_register(1)),
                (half(r), vector(d))
            );
            let mut asm = Asm::new(WIDE);
            asm.vector_with(UPPER, d, 0, rm, 3);
            let found = one(&asm);
            assert_eq!(
                (name(&found).as_str(), found.immediate8()),
                ("Vextractf32x4", 3)
            );
            assert_eq!(
                (found.op_register(0), found.op_register(1)),
                (quarter(r), vector(d))
            );
        }
    }
}

#[test]
fn what_masks_do_is_read_back() {
    for rm in PLACES {
        for x in REGISTERS {
            for (lanes, expected) in [
                (W64, ["Vcmppd", "Vfpclasspd"]),
                (W32, ["Vcmpps", "Vfpclassps"]),
            ] {
                let mut asm = Asm::new(WIDE);
                asm.evex_with(float(lanes, 0xC2), [K1, x], rm, Lanewise::Keep(K2), 3);
                let found = one(&asm);
                assert_eq!(
                    (name(&found).as_str(), found.immediate8()),
                    (expected[0], 3)
                );
                assert_eq!(
                    (found.op_register(0), found.op_register(1)),
                    (mask(K1), vector(x))
                );
                assert_eq!(
                    (found.op_mask(), found.zeroing_masking()),
                    (mask(K2), false)
                );
                same_place(&found, 2, rm);
                let mut asm = Asm::new(WIDE);
                let class = CLASS.wide(lanes == W64);
                asm.evex_with(class, [K2, 0], rm, Lanewise::Keep(K1), 6);
                let found = one(&asm);
                assert_eq!(
                    (name(&found).as_str(), found.immediate8()),
                    (expected[1], 6)
                );
                assert_eq!(
                    (found.op_register(0), found.op_mask()),
                    (mask(K2), mask(K1))
                );
                same_place(&found, 1, rm);
                let mut asm = Asm::new(WIDE);
                asm.vector_with(LOGIC.wide(lanes == W64), x, 17, rm, 0xCA);
                let found = one(&asm);
                let logic = ["Vpternlogd", "Vpternlogq"][usize::from(lanes == W64)];
                assert_eq!((name(&found).as_str(), found.immediate8()), (logic, 0xCA));
                assert_eq!(
                    (found.op_register(0), found.op_register(1)),
                    (vector(x), vector(17))
                );
                same_place(&found, 2, rm);
                // Parts of vectors.
                let mut asm = Asm::new(WIDE);
                asm.evex(float(lanes, 0x10), x, 0, rm, Lanewise::Clear(TAIL));
                let found = one(&asm);
                assert_eq!(name(&found), format!("Vmovu{}", suffix(lanes)));
                assert_eq!(
                    (found.op_mask(), found.zeroing_masking()),
                    (mask(TAIL), true)
                );
                same_place(&found, 1, rm);
                if !matches!(rm, Rm::Reg(_)) {
                    let mut asm = Asm::new(WIDE);
                    asm.evex(float(lanes, 0x11), x, 0, rm, Lanewise::Keep(TAIL));
                    let found = one(&asm);
                    assert_eq!(
                        (found.op_mask(), found.op_register(1)),
                        (mask(TAIL), vector(x))
                    );
                    same_place(&found, 0, rm);
                }
            }
            for (form, expected) in [
                (form(2, 0x29).wide(true), "Vpcmpeqq"),
                (form(1, 0x76), "Vpcmpeqd"),
                (form(2, 0x37).wide(true), "Vpcmpgtq"),
                (form(1, 0x66), "Vpcmpgtd"),
            ] {
                let mut asm = Asm::new(WIDE);
                asm.vector(form, K1, x, rm);
                let found = one(&asm);
                assert_eq!(name(&found), expected);
                assert_eq!(
                    (found.op_register(0), found.op_register(1)),
                    (mask(K1), vector(x))
                );
                same_place(&found, 2, rm);
            }
        }
    }
    for r in REGISTERS {
        for (wide, from, to) in [
            (true, "Vpmovm2q", "Vpmovq2m"),
            (false, "Vpmovm2d", "Vpmovd2m"),
        ] {
            let mut asm = Asm::new(WIDE);
            asm.vector(FROM_MASK.wide(wide), r, 0, Rm::Reg(K1));
            let found = one(&asm);
            assert_eq!(
                (name(&found).as_str(), found.op_register(0)),
                (from, vector(r))
            );
            assert_eq!(found.op_register(1), mask(K1));
            let mut asm = Asm::new(WIDE);
            asm.vector(TO_MASK.wide(wide), K1, 0, Rm::Reg(r));
            let found = one(&asm);
            assert_eq!(
                (name(&found).as_str(), found.op_register(0)),
                (to, mask(K1))
            );
            assert_eq!(found.op_register(1), vector(r));
        }
    }
}

#[test]
fn masks_of_tails_are_read_back() {
    let mut asm = Asm::new(WIDE);
    asm.tail_mask();
    asm.join_masks(K1, K2);
    asm.upper_mask(K1, TAIL);
    let hole = asm.jump_if_named(K1);
    asm.land(hole);
    asm.tail_to_stack();
    asm.tail_from_stack();
    let found = all(&asm);
    let names: Vec<String> = found.iter().map(name).collect();
    assert_eq!(
        names,
        [
            "Bzhi", "Kmovw", "Korw", "Kshiftrw", "Kortestw", "Jne", "Kmovw", "Kmovw"
        ]
    );
    let upper = [0, 1].map(|k| found[3].op_register(k));
    assert_eq!((upper, found[3].immediate8()), ([mask(K1), mask(TAIL)], 8));
    assert_eq!(
        (found[0].op_register(0), found[0].op_register(2)),
        (Register::EAX, Register::EAX)
    );
    assert_eq!(found[0].memory_base(), Register::RDX);
    assert_eq!(
        (found[1].op_register(0), found[1].op_register(1)),
        (mask(TAIL), Register::EAX)
    );
    let joined = [0, 1, 2].map(|k| found[2].op_register(k));
    assert_eq!(joined, [mask(K1), mask(K1), mask(K2)]);
    assert_eq!(
        (found[4].op_register(0), found[4].op_register(1)),
        (mask(K1), mask(K1))
    );
    assert_eq!(
        (found[6].memory_base(), found[6].op_register(1)),
        (Register::RSP, mask(TAIL))
    );
    assert_eq!(
        (found[7].memory_base(), found[7].op_register(0)),
        (Register::RSP, mask(TAIL))
    );
}

#[test]
fn bools_are_read_back() {
    for (lanes, expected) in [
        (W64, ["Vpmovzxbq", "Vpmovqb", "Vptestmq", "Vpbroadcastq"]),
        (W32, ["Vpmovzxbd", "Vpmovdb", "Vptestmd", "Vpbroadcastd"]),
    ] {
        for r in REGISTERS {
            let place = Rm::Indexed(13, 0, 8);
            let mut asm = Asm::new(WIDE);
            asm.evex(forms::from_bytes(lanes), r, 0, place, Lanewise::Clear(TAIL));
            asm.evex(forms::to_bytes(lanes), r, 0, place, Lanewise::Keep(TAIL));
            asm.evex(forms::any_bit(lanes), K1, r, Rm::Reg(r), Lanewise::All);
            moves::spread_bool(&mut asm, lanes, r);
            let found = all(&asm);
            let [load, store, test, byte, sign, spread] = &found[..] else {
                panic!("{found:?}");
            };
            assert_eq!([load, store, test, spread].map(name), expected);
            assert_eq!(
                (load.op_register(0), load.op_mask()),
                (vector(r), mask(TAIL))
            );
            assert!(load.zeroing_masking() && load.memory_index_scale() == 1);
            same_place(load, 1, place);
            assert_eq!(
                (store.op_register(1), store.op_mask()),
                (vector(r), mask(TAIL))
            );
            same_place(store, 0, place);
            assert_eq!(
                (test.op_register(0), test.op_register(1)),
                (mask(K1), vector(r))
            );
            assert_eq!([byte, sign].map(name), ["Movzx", "Neg"]);
            assert_eq!(
                (byte.memory_base(), sign.op_register(0)),
                (Register::RAX, Register::RAX)
            );
            assert_eq!(spread.op_register(0), vector(r));
        }
    }
}
