//! Tapes: straight-line programs on single numbers.
//!
//! A tape reads elements of arrays, computes, and writes elements of arrays, each by its own
//! instruction and in no loop. It is what many small steps become: see `crate::tape`. Its
//! instructions are those of regions, with [`Prim::At`] and [`Prim::Put`] in place of loads and stores.

use cotangent_array::DType;

use super::code::{Elem, Inst, LaneCode, Lanes, Prim};
use super::elem;
use super::eval::alu;

/// A straight-line program on elements of arrays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tape {
    /// The dtype and number of elements of each operand.
    pub inputs: Vec<(DType, usize)>,
    /// The dtype and number of elements of each result; every element is written once.
    pub outputs: Vec<(DType, usize)>,
    /// The instructions.
    pub code: LaneCode,
    /// Operations of one run, in units of one addition.
    pub cost: u64,
    /// Room for values that wait, in values.
    room: usize,
}

/// Bytes of working memory for a value: a vector, all lanes of which hold the number.
pub const TAPE_VALUE: usize = 32;
/// Values more than are alive at a time for which there is room: an instruction gives up the places of
/// its operands when the next one begins.
const SPARE: usize = 4;

impl Tape {
    /// A tape of these instructions, without those that no result needs and in an order in which few
    /// values wait.
    ///
    /// # Errors
    /// Instructions that do not fit together.
    pub fn new(
        lanes: Lanes,
        inputs: Vec<(DType, usize)>,
        outputs: Vec<(DType, usize)>,
        insts: Vec<Inst>,
        cost: u64,
    ) -> Result<Tape, String> {
        check(lanes, &inputs, &outputs, &insts)?;
        let code = LaneCode {
            lanes,
            insts: ordered(&insts),
            inputs: vec![Elem::Lane; inputs.len()],
            outputs: vec![Elem::Lane; outputs.len()],
        };
        Ok(Tape {
            inputs,
            outputs,
            room: room(&code),
            code,
            cost,
        })
    }

    /// Bytes of arrays that one run reads and writes.
    pub fn bytes(&self) -> u64 {
        let moves = |i: &&Inst| matches!(i.prim, Prim::At(..) | Prim::Put(..));
        (self.code.insts.iter().filter(moves).count() * self.code.lanes.bytes()) as u64
    }

    /// Room for values that wait, in values.
    pub fn room(&self) -> usize {
        self.room
    }

    /// Bytes of working memory: values that wait, then an address for each operand and result.
    pub fn scratch(&self) -> usize {
        let addresses = 8 * (self.inputs.len() + self.outputs.len());
        (self.room() * TAPE_VALUE + addresses).next_multiple_of(64)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        check(
            self.code.lanes,
            &self.inputs,
            &self.outputs,
            &self.code.insts,
        )?;
        let lane = |elems: &[Elem]| elems.iter().all(|e| *e == Elem::Lane);
        let fits = self.code.inputs.len() == self.inputs.len()
            && self.code.outputs.len() == self.outputs.len()
            && lane(&self.code.inputs)
            && lane(&self.code.outputs)
            && self.room == room(&self.code);
        match fits {
            true => Ok(()),
            false => Err("the instructions of the tape are not for its arrays".into()),
        }
    }

    /// Runs the tape: the elements of each operand as bits to those of each result. `None` where an
    /// operand has too few elements.
    pub fn eval(&self, inputs: &[Vec<u64>]) -> Option<Vec<Vec<u64>>> {
        let mut results: Vec<Vec<u64>> = self.outputs.iter().map(|(_, n)| vec![0; *n]).collect();
        let mut values: Vec<u64> = Vec::with_capacity(self.code.insts.len());
        for inst in &self.code.insts {
            let arg = |k: usize| values.get(inst.args[k] as usize).copied().unwrap_or(0);
            let value = match inst.prim {
                Prim::Const(bits) => bits,
                Prim::At(k, i) => *inputs.get(k as usize)?.get(i as usize)?,
                Prim::Put(k, i) => {
                    *results.get_mut(k as usize)?.get_mut(i as usize)? = arg(0);
                    0
                }
                prim => alu(self.code.lanes, prim, [arg(0), arg(1), arg(2)]),
            };
            values.push(value);
        }
        Some(results)
    }
}

/// Room for the values of some instructions that wait.
fn room(code: &LaneCode) -> usize {
    code.tiles().1 + SPARE
}

/// Checks that instructions read what was computed before and elements that are there, and that every
/// element of the results is written once.
fn check(
    lanes: Lanes,
    inputs: &[(DType, usize)],
    outputs: &[(DType, usize)],
    insts: &[Inst],
) -> Result<(), String> {
    for (dtype, n) in inputs.iter().chain(outputs) {
        // Offsets in bytes are numbers of 32 bits with a sign.
        if elem(*dtype, lanes) != Some(Elem::Lane) || *n > 1 << 27 {
            return Err(format!(
                "a tape does not read or write {n} elements {dtype}"
            ));
        }
    }
    let mut written: Vec<Vec<bool>> = outputs.iter().map(|(_, n)| vec![false; *n]).collect();
    for (i, inst) in insts.iter().enumerate() {
        for a in inst.operands() {
            let source = insts[..i].get(*a as usize);
            if source.is_none_or(|s| matches!(s.prim, Prim::Put(..))) {
                return Err(format!("instruction {i} reads {a}, which has no result"));
            }
        }
        match inst.prim {
            Prim::At(k, at)
                if inputs
                    .get(k as usize)
                    .is_none_or(|(_, n)| at as usize >= *n) =>
            {
                return Err(format!(
                    "instruction {i} reads element {at} of operand {k}, which is not there"
                ));
            }
            Prim::Put(k, at) => {
                let place = written.get_mut(k as usize);
                match place.and_then(|w| w.get_mut(at as usize)) {
                    Some(done) if !*done => *done = true,
                    _ => {
                        return Err(format!(
                            "instruction {i} writes element {at} of result {k} again or outside"
                        ));
                    }
                }
            }
            Prim::Load(_) | Prim::Splat(_) | Prim::Store(_) => {
                return Err(format!("instruction {i} is for regions"));
            }
            Prim::IMul | Prim::IntToFloat if lanes == Lanes::W64 => {
                return Err(format!("instruction {i} is for lanes of 32 bits"));
            }
            _ => {}
        }
    }
    match written.iter().position(|w| w.contains(&false)) {
        Some(k) => Err(format!("result {k} is not written in full")),
        None => Ok(()),
    }
}

/// The instructions in another order: each as soon as its operands are there, the readers of what was
/// computed last first, elements read where the first of these is next. So a value is mostly used up
/// where it arises, and forward and backward parts run together where nothing separates them. Numbers
/// come first, and what no result needs goes.
fn ordered(insts: &[Inst]) -> Vec<Inst> {
    let n = insts.len();
    let mut live: Vec<bool> = insts
        .iter()
        .map(|i| matches!(i.prim, Prim::Put(..)))
        .collect();
    for (i, inst) in insts.iter().enumerate().rev() {
        if live[i] {
            for a in inst.operands() {
                live[*a as usize] = true;
            }
        }
    }
    let number = |i: usize| matches!(insts[i].prim, Prim::Const(_));
    // The readers of each value, in order; numbers need no waiting for.
    let mut missing = vec![0_u32; n];
    let mut first = vec![0_u32; n + 1];
    let waiting = |i: usize| {
        let operands = insts[i].operands().iter().map(|a| *a as usize);
        operands.filter(|a| !number(*a))
    };
    for i in (0..n).filter(|i| live[*i]) {
        for a in waiting(i) {
            missing[i] += 1;
            first[a + 1] += 1;
        }
    }
    for i in 0..n {
        first[i + 1] += first[i];
    }
    let mut readers = vec![0_u32; first[n] as usize];
    let mut next = first.clone();
    for i in (0..n).filter(|i| live[*i]) {
        for a in waiting(i) {
            readers[next[a] as usize] = i as u32;
            next[a] += 1;
        }
    }
    let mut new = vec![u32::MAX; n];
    let mut order: Vec<Inst> = Vec::with_capacity(n);
    let mut emit = |i: usize, new: &mut Vec<u32>| {
        let mut inst = insts[i];
        for k in 0..inst.prim.arity() {
            inst.args[k] = new[inst.args[k] as usize];
        }
        new[i] = order.len() as u32;
        order.push(inst);
    };
    for i in (0..n).filter(|i| live[*i] && number(*i)) {
        emit(i, &mut new);
    }
    let mut ready: Vec<u32> = Vec::new();
    for start in 0..n {
        if !live[start] || missing[start] > 0 || new[start] != u32::MAX {
            continue;
        }
        ready.push(start as u32);
        while let Some(i) = ready.pop() {
            let i = i as usize;
            emit(i, &mut new);
            // The last reader is pushed first, so that the first one comes next.
            for k in (first[i]..first[i + 1]).rev() {
                let reader = readers[k as usize] as usize;
                missing[reader] -= 1;
                if missing[reader] == 0 {
                    ready.push(reader as u32);
                }
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inst(prim: Prim, args: &[u32]) -> Inst {
        let mut all = [0; 3];
        all[..args.len()].copy_from_slice(args);
        Inst { prim, args: all }
    }

    /// Squares of neighbours' differences, all read before anything is computed.
    fn squares(n: u32) -> Vec<Inst> {
        let mut insts: Vec<Inst> = (0..=n).map(|i| inst(Prim::At(0, i), &[])).collect();
        for i in 0..n {
            insts.push(inst(Prim::Sub, &[i + 1, i]));
        }
        for i in 0..n {
            insts.push(inst(Prim::Mul, &[n + 1 + i, n + 1 + i]));
        }
        for i in 0..n {
            insts.push(inst(Prim::Put(0, i), &[2 * n + 1 + i]));
        }
        insts
    }

    fn tape(n: usize) -> Tape {
        let f64s = |n| vec![(DType::F64, n)];
        Tape::new(Lanes::W64, f64s(n + 1), f64s(n), squares(n as u32), 0).unwrap()
    }

    #[test]
    fn values_are_used_up_where_they_arise() {
        let tape = tape(1000);
        assert_eq!(tape.code.insts.len(), squares(1000).len());
        assert!(tape.room() < 12, "{}", tape.room());
        let inputs: Vec<u64> = (0..=1000).map(|i| f64::from(i * i).to_bits()).collect();
        let results = tape.eval(&[inputs]).unwrap();
        for (i, bits) in results[0].iter().enumerate() {
            let difference = (2 * i + 1) as f64;
            assert_eq!(f64::from_bits(*bits), difference * difference);
        }
    }

    #[test]
    fn what_no_result_needs_goes() {
        let mut insts = squares(3);
        insts.insert(0, inst(Prim::Const(1), &[]));
        for inst in insts.iter_mut().skip(1) {
            for k in 0..inst.prim.arity() {
                inst.args[k] += 1;
            }
        }
        let f64s = |n| vec![(DType::F64, n)];
        let found = Tape::new(Lanes::W64, f64s(4), f64s(3), insts, 0).unwrap();
        assert_eq!(found.code, tape(3).code);
    }

    #[test]
    fn wrong_tapes_are_refused() {
        let new = |inputs: usize, outputs: usize, insts: Vec<Inst>| {
            let f64s = |n| vec![(DType::F64, n)];
            Tape::new(Lanes::W64, f64s(inputs), f64s(outputs), insts, 0).unwrap_err()
        };
        assert!(new(3, 3, squares(3)).contains("element 3 of operand 0"));
        assert!(new(4, 4, squares(3)).contains("not written in full"));
        assert!(new(4, 2, squares(3)).contains("element 2 of result 0"));
        let later = vec![inst(Prim::Add, &[1, 1]), inst(Prim::At(0, 0), &[])];
        assert!(new(1, 0, later).contains("reads 1"));
        assert!(new(1, 0, vec![inst(Prim::Load(0), &[])]).contains("regions"));
        let bools = Tape::new(Lanes::W64, vec![(DType::Bool, 1)], vec![], vec![], 0);
        assert!(bools.unwrap_err().contains("bool"));
    }
}
