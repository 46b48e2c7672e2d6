//! The instructions that generated code is made of, without their registers.

use cotangent_compile::lane::Lanes;

use super::asm::{Form, form};

/// A vector from memory or another register, and to memory.
pub(super) const LOAD: Form = form(1, 0x10).wide(true);

pub(super) const STORE: Form = form(1, 0x11).wide(true);

/// To memory whose address is a multiple of the vector.
pub(super) const STORE_ALIGNED: Form = form(1, 0x29).wide(true);

/// One element to all lanes of a register.
pub(super) fn spread(lanes: Lanes) -> Form {
    match lanes {
        Lanes::W64 => form(2, 0x19).wide(true),
        Lanes::W32 => form(2, 0x18),
    }
}

/// The lowest lane of a register to memory.
pub(super) fn single(lanes: Lanes) -> Form {
    Form {
        prefix: if lanes == Lanes::W64 { 3 } else { 2 },
        ..form(1, 0x11)
    }
}

/// The form of an instruction on floats of a width.
pub(super) const fn float(lanes: Lanes, opcode: u8) -> Form {
    let wide = matches!(lanes, Lanes::W64);
    Form {
        prefix: wide as u8,
        ..form(1, opcode).wide(wide)
    }
}

/// The highest bits of all lanes of 256 bits to a general register.
pub(super) const fn signs(lanes: Lanes) -> Form {
    float(lanes, 0x50)
}

/// vpternlogd or vpternlogq.
pub(super) const LOGIC: Form = form(3, 0x25);

/// vscalefps or vscalefpd, which only vectors of 512 bits have.
pub(super) const SCALE: Form = form(2, 0x2C);

/// All lanes of a mask register to a register, a lane as ones or zeros.
pub(super) const FROM_MASK: Form = Form {
    prefix: 2,
    ..form(2, 0x38)
};

/// The highest bits of all lanes to a mask register.
pub(super) const TO_MASK: Form = Form {
    prefix: 2,
    ..form(2, 0x39)
};

/// A move of bits by a number of places.
pub(super) fn shift(wide: bool) -> Form {
    form(1, if wide { 0x73 } else { 0x72 }).wide(wide)
}

/// The upper half of a register to the lower half of another, which is the operand here; of 512 bits that quarter
/// which the number names.
pub(super) const UPPER: Form = form(3, 0x19);

/// The same of 512 bits.
pub(super) const UPPER_WIDE: Form = form(3, 0x1B).wide(true);

/// f32 to f64, i32 to i64.
pub(super) const WIDEN_FLOAT: Form = Form {
    prefix: 0,
    ..form(1, 0x5A)
};

pub(super) const WIDEN_INT: Form = form(2, 0x25);

/// vrangeps or vrangepd, which only vectors of 512 bits have.
pub(super) const fn range(lanes: Lanes) -> Form {
    form(3, 0x50).wide(matches!(lanes, Lanes::W64))
}

/// Lanes of a register within 128 bits, by number.
pub(super) const fn within_half(lanes: Lanes) -> Form {
    match lanes {
        Lanes::W64 => form(3, 0x05).wide(true),
        Lanes::W32 => form(3, 0x04),
    }
}

/// One byte to all bytes of a register.
pub(super) const SPREAD_BYTE: Form = form(2, 0x78);

/// The bytes that are more than those of another operand, as ones.
pub(super) const MORE_BYTES: Form = form(1, 0x64);

/// The lanes, as whole numbers, that are more than those of another operand, as ones.
pub(super) const fn more(lanes: Lanes) -> Form {
    match lanes {
        Lanes::W64 => form(2, 0x37).wide(true),
        Lanes::W32 => form(1, 0x66),
    }
}

/// One byte from memory to a place in the lower half of a register, and from there to memory.
pub(super) const INSERT_BYTE: Form = form(3, 0x20);

pub(super) const EXTRACT_BYTE: Form = form(3, 0x14);

/// Lanes of 32 bits of two registers, four by number.
pub(super) const SHUFFLE: Form = Form {
    prefix: 0,
    ..form(1, 0xC6)
};

/// Lanes of 32 bits of two registers as 16 bits, and those as bytes.
pub(super) const PACK_LANES: Form = form(1, 0x6B);

pub(super) const PACK_WORDS: Form = form(1, 0x63);

/// Bytes without their signs.
pub(super) const ABS_BYTES: Form = form(2, 0x1C);

/// The lowest 64 or 32 bits of a register to memory: as many bytes as a vector of 256 bits has lanes.
pub(super) const fn lowest(lanes: Lanes) -> Form {
    match lanes {
        Lanes::W64 => form(1, 0x7E),
        Lanes::W32 => form(1, 0xD6),
    }
}

/// Bytes to lanes, zeros before them.
pub(super) const fn from_bytes(lanes: Lanes) -> Form {
    form(
        2,
        if matches!(lanes, Lanes::W64) {
            0x32
        } else {
            0x31
        },
    )
}

/// The lowest bytes of lanes.
pub(super) const fn to_bytes(lanes: Lanes) -> Form {
    Form {
        prefix: 2,
        ..from_bytes(lanes)
    }
}

/// The lanes that have a bit set, as a mask register.
pub(super) const fn any_bit(lanes: Lanes) -> Form {
    form(2, 0x27).wide(matches!(lanes, Lanes::W64))
}

/// vmaskmovps or vmaskmovpd, by the opcode of the first.
pub(super) fn mask_form(lanes: Lanes, opcode: u8) -> Form {
    form(2, opcode + u8::from(matches!(lanes, Lanes::W64)))
}

/// A general register to all lanes.
pub(super) const fn spread_general(lanes: Lanes) -> Form {
    form(2, 0x7C).wide(matches!(lanes, Lanes::W64))
}

/// vfpclasspd or vfpclassps.
pub(super) const CLASS: Form = form(3, 0x66);
