//! Powers of two where no instruction multiplies with one.

use super::code::{LaneCode, Lanes, Prim, Rounding, Writer};
use super::eval::{MAGIC32, MAGIC64, NOTHING32, NOTHING64};

impl LaneCode {
    /// The code without [`Prim::Scale`], in instructions that give the same bits; `None` where there is none.
    pub fn without_scale(&self) -> Option<LaneCode> {
        if self.insts.iter().all(|i| i.prim != Prim::Scale) {
            return None;
        }
        let mut w = Writer::new(self.lanes, false);
        let mut places: Vec<u32> = Vec::with_capacity(self.insts.len());
        for inst in &self.insts {
            let mut args = inst.args;
            for (to, a) in args.iter_mut().zip(inst.operands()) {
                *to = places.get(*a as usize).copied().unwrap_or(0);
            }
            let [x, n, _] = args;
            places.push(match inst.prim {
                Prim::Scale if x == w.float(1.0) => w.power_of_two(n),
                Prim::Scale => {
                    // Results below the normal range are rounded once: the first product is exact.
                    let nothing = w.by(NOTHING64, f64::from(NOTHING32));
                    let nothing = w.float(nothing);
                    let n = w.put(Prim::Max, &[n, nothing]);
                    let half = w.float(0.5);
                    let first = w.mul(n, half);
                    let first = w.put(Prim::Round(Rounding::Even), &[first]);
                    let second = w.sub(n, first);
                    let (first, second) = (w.power_of_two(first), w.power_of_two(second));
                    let product = w.mul(x, first);
                    w.mul(product, second)
                }
                prim => w.put(prim, &args[..prim.arity()]),
            });
        }
        Some(w.finish(self.inputs.clone(), self.outputs.clone()))
    }
}

impl Writer {
    /// 2 to a whole power within the normal range.
    fn power_of_two(&mut self, n: u32) -> u32 {
        let magic = self.by(MAGIC64, MAGIC32);
        let magic = self.float(magic);
        let shifted = self.add(n, magic);
        let places = match self.lanes {
            Lanes::W64 => 52,
            Lanes::W32 => 23,
        };
        let exponent = self.put(Prim::Shl(places), &[shifted]);
        let one = self.float(1.0);
        self.put(Prim::IAdd, &[exponent, one])
    }
}

#[cfg(test)]
mod tests {
    use super::super::eval::alu;
    use super::*;

    /// The bits of the result of the last instruction before a store.
    fn value(code: &LaneCode, x: u64, n: u64) -> u64 {
        let mut values: Vec<u64> = Vec::new();
        let mut stored = 0;
        for inst in &code.insts {
            let arg = |k: usize| values.get(inst.args[k] as usize).copied().unwrap_or(0);
            let args = [arg(0), arg(1), arg(2)];
            values.push(match inst.prim {
                Prim::Const(bits) => bits,
                Prim::Load(0) => x,
                Prim::Load(_) => n,
                Prim::Store(_) => {
                    stored = args[0];
                    0
                }
                prim => alu(code.lanes, prim, args),
            });
        }
        stored
    }

    #[test]
    fn factors_give_the_same_bits() {
        use super::super::code::Elem;
        for lanes in [Lanes::W64, Lanes::W32] {
            let mut w = Writer::new(lanes, true);
            let (x, n) = (w.put(Prim::Load(0), &[]), w.put(Prim::Load(1), &[]));
            let y = w.put(Prim::Scale, &[x, n]);
            w.put(Prim::Store(0), &[y]);
            let code = w.finish(vec![Elem::Lane; 2], vec![Elem::Lane]);
            let lowered = code.without_scale().unwrap();
            assert!(lowered.without_scale().is_none());
            assert_eq!(lowered.check(), Ok(()));
            for x in [0.7072, 0.9999, 1.0, 1.2345678, 1.4141] {
                for n in -4500..=1030_i32 {
                    let (x, n) = match lanes {
                        Lanes::W64 => (f64::to_bits(x), f64::from(n).to_bits()),
                        Lanes::W32 if !(-600..=130).contains(&n) => continue,
                        Lanes::W32 => {
                            let bits = |x: f32| u64::from(x.to_bits());
                            (bits(x as f32), bits(n as f32))
                        }
                    };
                    let [found, expected] = [&lowered, &code].map(|code| value(code, x, n));
                    assert_eq!(found, expected, "{lanes:?} {x:#x} {n:#x}");
                    if lanes == Lanes::W64 {
                        let (x, n) = (f64::from_bits(x), f64::from_bits(n));
                        // In steps that are exact until the last.
                        let mut exact = x;
                        let n = n.max(-1200.0);
                        let mut left = n;
                        while left.abs() > 500.0 && left.abs() < 1000.0 {
                            exact *= 2.0_f64.powi(500 * left.signum() as i32);
                            left -= 500.0 * left.signum();
                        }
                        if left.abs() <= 500.0 {
                            exact *= 2.0_f64.powi(left as i32);
                            assert_eq!(f64::from_bits(found), exact, "{x} {n}");
                        }
                    }
                }
            }
        }
    }
}
