//! Lowers an optimised graph to the steps of a plan.

mod regions;

use std::sync::Arc;

use cotangent_array::Scalar;
use cotangent_graph::ops::ArrayOp;
use cotangent_graph::{Equation, FastMap, Graph, Location, Op, TensorType, Type, Var};
use smallvec::{SmallVec, smallvec};

use self::regions::Written;
use crate::again::Again;
use crate::check::reads_splats;
use crate::fuse::{self, Unit, is_view};
use crate::plan::{Operand, Place, Plan, Step, StepOp};
use crate::triangles::{self, Triangles};
use crate::{CompileError, Flow, Target, abreast, picked, planes, rows, stores, tape, turned};

/// Chooses the steps of an optimised graph whose callees have plans. No value has its place yet. With
/// `hold` the checkpoints of the graph hold: what stands in one is computed again for the way back.
pub(crate) fn lower(
    graph: &Graph,
    target: &Target,
    plans: &FastMap<u128, Arc<Plan>>,
    checkpoints: Option<usize>,
    hold: bool,
) -> Result<Plan, CompileError> {
    let mut lower = Lower {
        graph,
        target,
        plans,
        checkpoints,
        plan: Plan {
            name: graph.name().to_owned(),
            inputs: Vec::with_capacity(graph.inputs().len()),
            outputs: graph.output_types(),
            constants: Vec::new(),
            steps: Vec::new(),
            arena: 0,
            cost: 0,
            bytes: 0,
            time: 0,
            unlimited: None,
        },
        homes: FastMap::default(),
        types: FastMap::default(),
        last: None,
        values: vec![Value::Inside; graph.equations().len()],
        region: vec![0; graph.equations().len()],
        regions: 0,
        anew: Vec::new(),
        read_outside: vec![false; graph.equations().len()],
        programs: FastMap::default(),
        roots: Vec::new(),
        numbers: vec![(0, 0); graph.equations().len()],
        filled: FastMap::default(),
        next: 0,
        triangles: match target.triangles {
            Some(least) => triangles::find(graph, least),
            None => FastMap::default(),
        },
    };
    lower.choose_homes();
    let mut fusion = fuse::fuse(graph, target.fuse, target.fma);
    lower.roots = std::mem::take(&mut fusion.roots);
    lower.anew = std::mem::take(&mut fusion.anew);
    lower.find_regions(&fusion);
    let mut again = Again::default();
    for unit in &fusion.units {
        let checkpoint = match unit {
            Unit::Single(v) => {
                let e = graph.equation(*v);
                lower.values[v.index()] = lower.equation(*v, e)?;
                again.stacks(e, lower.plan.steps.len());
                e.checkpoint
            }
            Unit::Region(group) => {
                lower.region(group, &fusion.patterns)?;
                group.checkpoint
            }
        };
        again.stand_in(checkpoint, lower.plan.steps.len());
    }
    for (i, var) in graph.outputs().iter().enumerate() {
        lower.output(i, *var)?;
    }
    let Lower {
        mut plan, mut next, ..
    } = lower;
    if hold {
        again.run(&mut plan, &mut next);
    }
    if target.fuse {
        plan.steps = stores::absorb(plan.steps);
        plan.steps = rows::join(plan.steps, &mut next, target.row_cache);
        plan.steps = tape::join(plan.steps, &plan.constants, next as usize);
        if target.abreast {
            plan.steps = abreast::join(plan.steps);
        }
    }
    Ok(plan)
}

/// What a variable of the graph is in the plan.
#[derive(Clone)]
enum Value {
    /// Known inside a region only, or not needed.
    Inside,
    /// One number everywhere.
    Splat(Scalar),
    /// An array in memory.
    Stored(Place),
    /// One element in memory that stands everywhere.
    Spread(Operand),
    /// Several arrays in memory.
    Tuple(Arc<[Place]>),
}

struct Lower<'a> {
    graph: &'a Graph,
    target: &'a Target,
    plans: &'a FastMap<u128, Arc<Plan>>,
    /// How many states loops of unknown length keep, where a number is given.
    checkpoints: Option<usize>,
    plan: Plan,
    /// Which output's memory a result is written to: by the variable and its component.
    homes: FastMap<(Var, usize), u32>,
    types: FastMap<TensorType, Arc<TensorType>>,
    /// The type met last: most follow one of the same type.
    last: Option<Arc<TensorType>>,
    values: Vec<Value>,
    /// For each variable the number of its region, from 1, or 0.
    region: Vec<u32>,
    /// The number of regions so far.
    regions: u32,
    /// Members of several regions.
    anew: Vec<bool>,
    /// Whether something outside its region reads the variable, or a view of it.
    read_outside: Vec<bool>,
    /// Regions by a hash of their content: a repeated one is written once.
    programs: FastMap<u64, Vec<Written>>,
    /// The variable whose memory each shows.
    roots: Vec<Var>,
    /// For each variable the last region that reads or computes it, and its number among the values
    /// there.
    numbers: Vec<(u32, u32)>,
    /// Where numbers and spread elements were stored for steps that want an array.
    filled: FastMap<Var, Place>,
    next: u32,
    /// What products need not multiply.
    triangles: FastMap<Var, Triangles>,
}

impl Lower<'_> {
    /// Lets steps write outputs straight to the caller's memory.
    fn choose_homes(&mut self) {
        for (i, output) in self.graph.outputs().iter().enumerate() {
            let mut var = *output;
            let key = loop {
                let e = self.graph.equation(var);
                match (&e.op, e.args.first()) {
                    (Op::Get(component), Some(call)) => break Some((*call, *component)),
                    (_, Some(x)) if is_view(self.graph, e) => var = *x,
                    (Op::Input | Op::Full(..) | Op::Constant(_), _) => break None,
                    _ if is_spread(self.graph, e) => break None,
                    _ => break Some((var, 0)),
                }
            };
            if let Some(key) = key {
                self.homes.entry(key).or_insert(i as u32);
            }
        }
    }

    fn equation(&mut self, v: Var, e: &Equation) -> Result<Value, CompileError> {
        match &e.op {
            Op::Input => {
                let index = self.plan.inputs.len();
                let (name, ty) = match (self.graph.inputs().get(index), e.ty.tensor()) {
                    (Some((name, _)), Some(ty)) => (name.to_string(), ty.clone()),
                    _ => return Err(self.malformed("an input is not in the list of inputs")),
                };
                self.plan.inputs.push((name, ty));
                Ok(Value::Stored(Place::Input(index as u32)))
            }
            Op::Full(value, _) => Ok(Value::Splat(*value)),
            // Its readers read its operand.
            _ if is_looked_through(self.graph, e) && !self.read_outside[v.index()] => {
                Ok(Value::Inside)
            }
            Op::Constant(array) => {
                self.plan.constants.push(array.clone());
                Ok(Value::Stored(Place::Constant(
                    self.plan.constants.len() as u32 - 1,
                )))
            }
            Op::Get(index) => match e.args.first().map(|a| &self.values[a.index()]) {
                Some(Value::Tuple(parts)) if *index < parts.len() => {
                    Ok(Value::Stored(parts[*index]))
                }
                _ => Err(self.malformed("`get` of something that is no tuple")),
            },
            Op::Call(_) | Op::Region(_) | Op::Native(_) => self.call(v, e),
            _ => match e.args.first() {
                Some(x) if is_view(self.graph, e) => Ok(self.values[x.index()].clone()),
                Some(x) if is_spread(self.graph, e) => match self.values[x.index()].clone() {
                    Value::Stored(place) => {
                        let ty = self.ty_of(*x)?;
                        Ok(Value::Spread(Operand { place, ty }))
                    }
                    value => Ok(value),
                },
                _ => self.operation(v, e),
            },
        }
    }

    fn operation(&mut self, v: Var, e: &Equation) -> Result<Value, CompileError> {
        let parts = e.ty.components();
        let mut outs: SmallVec<[Operand; 1]> = SmallVec::with_capacity(parts.len());
        for (i, ty) in parts.iter().enumerate() {
            let (place, ty) = (self.result(v, i), self.intern(ty));
            outs.push(Operand { place, ty });
        }
        let Some(first) = outs.first() else {
            return Err(self.malformed("an operation without a result"));
        };
        let out_ty = first.ty.clone();
        let mut args: SmallVec<[Operand; 2]> = SmallVec::with_capacity(e.args.len());
        // Of what another step wants stored as it is, the convolution reads that.
        let unstored = |v: &Var| matches!(self.values[v.index()], Value::Inside);
        let source = (planes::sources(self.graph, e).into_iter())
            .rev()
            .find(|source| source.between.iter().all(unstored));
        let turned = turned::source(self.graph, e).filter(|t| unstored(&t.between));
        let picked = self.picked(v, e).filter(|p| unstored(&p.between));
        if let Some(source) = &source {
            for array in &source.arrays {
                args.push(self.stored(*array)?);
            }
        }
        let whole: &[Var] = match (&source, &turned) {
            (Some(_), _) => e.args.get(1..).unwrap_or_default(),
            (_, Some(turned)) => &turned.args,
            _ => picked.as_ref().map_or(&e.args, |picked| &picked.args),
        };
        for a in whole {
            args.push(self.operand(*a, &e.op)?);
        }
        let op = match (&source, &turned) {
            (Some(source), _) => StepOp::Planes(e.op.clone(), Arc::new(source.planes.clone())),
            (_, Some(turned)) => StepOp::Turned(turned.dot.clone().into(), turned.front),
            _ => match (self.triangles.get(&v), picked) {
                (Some(triangles), _) => StepOp::Triangular(e.op.clone(), Arc::new(*triangles)),
                (_, Some(picked)) => StepOp::Picked(picked.dot.into(), Arc::new(picked.picked)),
                _ => StepOp::Op(e.op.clone()),
            },
        };
        let scratch = {
            let mut types: SmallVec<[&TensorType; 3]> = args.iter().map(|a| &*a.ty).collect();
            if let Some(source) = &source {
                let kernel = types.pop();
                types = std::iter::once(&source.planes.input)
                    .chain(kernel)
                    .collect();
            }
            (self.target.scratch)(&op, &types, &out_ty)
        };
        let places: SmallVec<[Place; 1]> = outs.iter().map(|o| o.place).collect();
        self.plan.steps.push(Step {
            op,
            args,
            outs,
            scratch: 0..scratch,
            location: e.location,
            again: false,
        });
        Ok(match (&e.ty, places.first()) {
            (Type::Tensor(_), Some(place)) => Value::Stored(*place),
            _ => Value::Tuple(places.to_vec().into()),
        })
    }

    /// The product that reads picked rows where they stand, if an equation is one.
    fn picked(&self, v: Var, e: &Equation) -> Option<picked::Source> {
        match self.triangles.contains_key(&v) {
            true => None,
            false => picked::source(self.graph, e),
        }
    }

    fn call(&mut self, v: Var, e: &Equation) -> Result<Value, CompileError> {
        let mut bodies = Vec::new();
        for callee in e.op.callees() {
            match self.plans.get(&callee.0.fingerprint()) {
                Some(plan) => bodies.push(plan.clone()),
                None => return Err(self.malformed("a called graph has no plan")),
            }
        }
        let (op, scratch) = match (&e.op, &bodies[..]) {
            (Op::Native(native), _) => (StepOp::Native(native.clone()), 0),
            (Op::Call(_), [plan]) => (StepOp::Call(plan.clone()), plan.arena),
            (Op::Region(region), bodies) => match Flow::new(region, bodies, self.checkpoints) {
                Some(flow) => {
                    let bytes = flow.layout().bytes;
                    (StepOp::Flow(flow), bytes)
                }
                None => return Err(self.malformed("a branch or loop without its bodies")),
            },
            _ => return Err(self.malformed("a call without a graph")),
        };
        let mut args = SmallVec::with_capacity(e.args.len());
        for a in &e.args {
            args.push(self.stored(*a)?);
        }
        let parts: Vec<TensorType> = e.ty.components().to_vec();
        let mut outs: SmallVec<[Operand; 1]> = SmallVec::new();
        for (i, ty) in parts.into_iter().enumerate() {
            outs.push(Operand {
                place: self.result(v, i),
                ty: self.intern(&ty),
            });
        }
        let places: Vec<Place> = outs.iter().map(|o| o.place).collect();
        let scratch = 0..scratch;
        self.plan.steps.push(Step {
            op,
            args,
            outs,
            scratch,
            location: e.location,
            again: false,
        });
        Ok(match (&e.ty, places.first()) {
            (Type::Tensor(_), Some(place)) => Value::Stored(*place),
            _ => Value::Tuple(places.into()),
        })
    }

    /// The variable whose memory a view shows.
    fn root(&self, v: Var) -> Var {
        self.roots[v.index()]
    }

    /// The operand as the operation takes it.
    fn operand(&mut self, var: Var, op: &Op) -> Result<Operand, CompileError> {
        let ty = self.ty_of(var)?;
        match self.values[var.index()].clone() {
            Value::Splat(value) if reads_splats(op) || ty.shape.elements() == 1 => Ok(Operand {
                place: Place::Splat(value),
                ty,
            }),
            Value::Spread(one) if op.is_pointwise() => Ok(one),
            _ => self.stored(var),
        }
    }

    /// The variable as an array in memory.
    fn stored(&mut self, var: Var) -> Result<Operand, CompileError> {
        let ty = self.ty_of(var)?;
        let place = match (&self.values[var.index()], self.filled.get(&var)) {
            (Value::Stored(place), _) | (_, Some(place)) => *place,
            _ => {
                let place = self.fresh();
                self.copy(var, place, self.graph.equation(var).location)?;
                self.filled.insert(var, place);
                place
            }
        };
        Ok(Operand { place, ty })
    }

    /// Sees to it that the variable's value ends up in the memory of output `i`.
    fn output(&mut self, i: usize, var: Var) -> Result<(), CompileError> {
        let home = Place::Output(i as u32);
        match self.values[var.index()] {
            Value::Stored(place) if place == home => Ok(()),
            _ => self.copy(var, home, None),
        }
    }

    fn copy(
        &mut self,
        var: Var,
        to: Place,
        location: Option<Location>,
    ) -> Result<(), CompileError> {
        let ty = self.ty_of(var)?;
        let from = match self.values[var.index()].clone() {
            Value::Splat(value) => Operand {
                place: Place::Splat(value),
                ty: ty.clone(),
            },
            Value::Stored(place) => Operand {
                place,
                ty: ty.clone(),
            },
            Value::Spread(one) => one,
            Value::Tuple(_) => return Err(self.malformed("expected an array, found a tuple")),
            Value::Inside => return Err(self.malformed("a value is read before it is known")),
        };
        self.plan.steps.push(Step {
            op: StepOp::Copy,
            args: smallvec![from],
            outs: smallvec![Operand { place: to, ty }],
            scratch: 0..0,
            location,
            again: false,
        });
        Ok(())
    }

    fn result(&mut self, var: Var, component: usize) -> Place {
        match self.homes.get(&(var, component)) {
            Some(output) => Place::Output(*output),
            None => self.fresh(),
        }
    }

    fn fresh(&mut self) -> Place {
        let value = self.next;
        self.next += 1;
        Place::Arena { value, offset: 0 }
    }

    fn ty_of(&mut self, var: Var) -> Result<Arc<TensorType>, CompileError> {
        let graph = self.graph;
        match graph.ty(var) {
            Type::Tensor(ty) => Ok(self.intern(ty)),
            Type::Tuple(_) => Err(self.malformed("expected an array, found a tuple")),
        }
    }

    fn intern(&mut self, ty: &TensorType) -> Arc<TensorType> {
        if let Some(last) = self.last.as_ref().filter(|last| ***last == *ty) {
            return last.clone();
        }
        let shared = match self.types.get(ty) {
            Some(found) => found.clone(),
            None => {
                let shared = Arc::new(ty.clone());
                self.types.insert(ty.clone(), shared.clone());
                shared
            }
        };
        self.last = Some(shared.clone());
        shared
    }

    fn malformed(&self, message: &str) -> CompileError {
        CompileError::Malformed {
            graph: self.graph.name().to_owned(),
            message: message.to_owned(),
        }
    }
}

/// Whether there are readers that may read the operand instead of the result: regions through
/// strides, convolutions plane by plane, and products of picked rows.
fn is_looked_through(graph: &Graph, e: &Equation) -> bool {
    let looked_through = matches!(
        e.op,
        Op::Array(
            ArrayOp::Broadcast(_)
                | ArrayOp::Slice(_)
                | ArrayOp::Gather(_)
                | ArrayOp::Pad(_)
                | ArrayOp::Transpose(_)
                | ArrayOp::Concat(_)
                | ArrayOp::Dot(_)
        )
    );
    looked_through && !is_view(graph, e)
}

/// Whether the result is one element of memory that stands everywhere.
fn is_spread(graph: &Graph, e: &Equation) -> bool {
    matches!(&e.op, Op::Array(ArrayOp::Broadcast(_)))
        && e.args
            .first()
            .and_then(|x| graph.ty(*x).tensor())
            .is_some_and(|t| t.shape.elements() == 1)
}
