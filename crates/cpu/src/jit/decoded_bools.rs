//! The instruction forms for bools in memory in vectors of 256 bits, read back by a decoder that others wrote.

use cotangent_compile::lane::Lanes;
use iced_x86::{Decoder, DecoderOptions, Instruction, Register};

use super::asm::{Asm, RAX, RDX, RSP, Rm};
use super::decoded::{NARROW, PLACES, decode, same_place, vector};
use super::forms::{
    ABS_BYTES, EXTRACT_BYTE, INSERT_BYTE, MORE_BYTES, PACK_LANES, PACK_WORDS, SHUFFLE, SPREAD_BYTE,
    from_bytes, lowest, more,
};
use super::moves;

#[test]
fn bools_in_256_bits_are_read_back() {
    let half = |r: u8| Register::XMM0 + u32::from(r);
    let name = |found: &Instruction| format!("{:?}", found.mnemonic());
    // How much of memory is touched is what matters at the end of an array.
    let touched = |found: &Instruction| format!("{:?}", found.memory_size());
    let emitted = |emit: &dyn Fn(&mut Asm)| {
        let mut asm = Asm::new(NARROW);
        emit(&mut asm);
        decode(&asm.bytes)
    };
    for rm in PLACES {
        for (d, x) in [(1, 7), (9, 3), (4, 15), (14, 10)] {
            let (sources, whole) = (
                [
                    (PACK_LANES, "Vpackssdw"),
                    (PACK_WORDS, "Vpacksswb"),
                    (SHUFFLE, "Vshufps"),
                    (ABS_BYTES, "Vpabsb"),
                ],
                [
                    (MORE_BYTES, "Vpcmpgtb"),
                    (more(Lanes::W64), "Vpcmpgtq"),
                    (more(Lanes::W32), "Vpcmpgtd"),
                ],
            );
            if let Rm::Reg(r) = *rm {
                for (form, expected) in sources {
                    let found = emitted(&|asm| match form {
                        SHUFFLE => asm.half_with(form, d, x, *rm, 0x88),
                        ABS_BYTES => asm.half(form, d, 0, *rm),
                        _ => asm.half(form, d, x, *rm),
                    });
                    assert_eq!(name(&found), expected);
                    let operands: Vec<Register> = (0..3).map(|k| found.op_register(k)).collect();
                    match form {
                        ABS_BYTES => assert_eq!(operands[..2], [half(d), half(r)]),
                        _ => assert_eq!(operands, [half(d), half(x), half(r)]),
                    }
                    if form == SHUFFLE {
                        assert_eq!(found.immediate8(), 0x88);
                    }
                }
                for (lanes, expected) in [(Lanes::W64, "Vpmovzxbq"), (Lanes::W32, "Vpmovzxbd")] {
                    let found = emitted(&|asm| asm.vector(from_bytes(lanes), d, 0, *rm));
                    assert_eq!(name(&found), expected);
                    assert_eq!(
                        (found.op_register(0), found.op_register(1)),
                        (vector(d), half(r))
                    );
                }
                continue;
            }
            for (form, expected) in whole {
                let found = emitted(&|asm| asm.vector(form, d, x, *rm));
                assert_eq!(name(&found), expected);
                assert_eq!(
                    (found.op_register(0), found.op_register(1)),
                    (vector(d), vector(x))
                );
                same_place(&found, 2, *rm);
            }
            for (lanes, names, touching) in [
                (
                    Lanes::W64,
                    ["Vpmovzxbq", "Vmovd"],
                    ["Packed32_UInt8", "UInt32"],
                ),
                (
                    Lanes::W32,
                    ["Vpmovzxbd", "Vmovq"],
                    ["Packed64_UInt8", "UInt64"],
                ),
            ] {
                let load = emitted(&|asm| asm.vector(from_bytes(lanes), d, 0, *rm));
                let store = emitted(&|asm| asm.half(lowest(lanes), d, 0, *rm));
                assert_eq!([name(&load), name(&store)], names);
                assert_eq!(load.op_register(0), vector(d));
                same_place(&load, 1, *rm);
                assert_eq!(store.op_register(1), half(d));
                same_place(&store, 0, *rm);
                assert_eq!([&load, &store].map(touched), touching);
            }
            let spread = emitted(&|asm| asm.vector(SPREAD_BYTE, d, 0, *rm));
            assert_eq!(name(&spread), "Vpbroadcastb");
            assert_eq!(spread.op_register(0), vector(d));
            same_place(&spread, 1, *rm);
            let insert = emitted(&|asm| asm.half_with(INSERT_BYTE, d, x, rm.ahead(3), 3));
            assert_eq!(
                (name(&insert).as_str(), insert.immediate8()),
                ("Vpinsrb", 3)
            );
            assert_eq!(
                (insert.op_register(0), insert.op_register(1)),
                (half(d), half(x))
            );
            same_place(&insert, 2, rm.ahead(3));
            let extract = emitted(&|asm| asm.half_with(EXTRACT_BYTE, d, 0, rm.ahead(6), 6));
            assert_eq!(
                (name(&extract).as_str(), extract.immediate8()),
                ("Vpextrb", 6)
            );
            assert_eq!(extract.op_register(1), half(d));
            same_place(&extract, 0, rm.ahead(6));
            assert_eq!(
                [&spread, &insert, &extract].map(touched),
                ["Int8", "UInt8", "UInt8"]
            );
        }
    }
    let mut asm = Asm::new(NARROW);
    moves::spread_bool(&mut asm, Lanes::W32, 5);
    asm.keep_rest(96);
    let hole = asm.jump_unless_rest(96, 6);
    asm.land(hole);
    let end = asm.bytes.len() as u64;
    let all: Vec<Instruction> = Decoder::with_ip(64, &asm.bytes, 0, DecoderOptions::NONE)
        .iter()
        .collect();
    let names: Vec<String> = all.iter().map(name).collect();
    assert_eq!(names, ["Vpbroadcastb", "Vpcmpgtb", "Mov", "Cmp", "Jbe"]);
    same_place(&all[0], 1, Rm::Base(RAX, 0));
    // The zeros behind the masks of the pool.
    same_place(&all[1], 2, Rm::Base(RDX, 64));
    same_place(&all[2], 0, Rm::Base(RSP, 96));
    assert_eq!(all[2].op_register(1), Register::RAX);
    same_place(&all[3], 0, Rm::Base(RSP, 96));
    assert_eq!(
        (all[3].immediate32(), touched(&all[3]).as_str()),
        (6, "UInt32")
    );
    assert_eq!(all[4].near_branch_target(), end);
}
