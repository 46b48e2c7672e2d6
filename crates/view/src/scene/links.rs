//! Arrows between boxes, and where they enter and leave the groups between.
//!
//! An arrow joins two boxes of one group. What is read across the border of a group goes along an
//! arrow to the group's box outside, and inside from a small box that says what enters; in the same
//! way it leaves.

use std::collections::{BTreeMap, HashMap};

use cotangent_graph::Var;

use super::cluster::Tree;
use super::{Drawn, Entity, EntityKind, name_of};

/// So many places where something enters or leaves a group have boxes of their own; more share one.
const MANY_PORTS: usize = 12;

/// A box of a group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Slot {
    /// What enters from outside.
    In(usize),
    /// An entity.
    Entity(usize),
    /// A group inside.
    Child(usize),
    /// What is read outside.
    Out(usize),
}

/// Arrows and borders of a tree of groups.
pub(super) struct Links {
    groups: Vec<Border>,
    /// The components of tuples, by the variable of the tuple.
    components: HashMap<Var, Vec<Var>>,
}

/// What enters and leaves a group, and the arrows inside.
#[derive(Default)]
struct Border {
    /// Where it comes from, a box of an outer group, and what.
    enter: Vec<(Outside, Vec<Var>)>,
    enter_of: HashMap<Outside, usize>,
    /// What leaves.
    leave: Vec<Var>,
    leave_of: HashMap<Var, usize>,
    /// All of it, where it shares one box.
    together: [Vec<Var>; 2],
    edges: BTreeMap<(Slot, Slot), Vec<Var>>,
}

/// A box of an outer group.
type Outside = (usize, Slot);

/// The label of a box that something comes from.
#[derive(Clone, Copy)]
pub(super) struct Source(Outside);

impl Source {
    pub(super) fn of(self, d: &Drawn<'_>) -> String {
        match self.0.1 {
            Slot::Child(c) => d.tree.groups[c].label.clone(),
            Slot::Entity(e) => name_of(d, d.entities[e].var),
            Slot::In(_) | Slot::Out(_) => String::new(),
        }
    }
}

impl Links {
    pub(super) fn of(entities: &[Entity], tree: &Tree) -> Links {
        let mut links = Links {
            groups: (0..tree.groups.len()).map(|_| Border::default()).collect(),
            components: HashMap::new(),
        };
        // First what crosses each border, since many crossings share a box; then the arrows.
        let mut crossings = Vec::new();
        for (reader, entity) in entities.iter().enumerate() {
            for (read, var) in &entity.reads {
                let of = entities[*read].var;
                if of != *var && !matches!(entities[*read].kind, EntityKind::Constant) {
                    let components = links.components.entry(of).or_default();
                    if !components.contains(var) {
                        components.push(*var);
                    }
                }
                let (from, to) = (tree.home(*read), tree.home(reader));
                let top = tree.common(from, to);
                let (up, down) = (tree.path(top, from), tree.path(top, to));
                let source = (
                    top,
                    up.first().map_or(Slot::Entity(*read), |c| Slot::Child(*c)),
                );
                for g in &down {
                    links.groups[*g].enters(source, *var);
                }
                for g in &up {
                    links.groups[*g].leaves(*var);
                }
                crossings.push((*read, reader, *var, top, up, down, source));
            }
        }
        for border in &mut links.groups {
            border.together = [
                border
                    .enter
                    .iter()
                    .flat_map(|(_, vars)| vars.iter().copied())
                    .collect(),
                border.leave.clone(),
            ];
        }
        for (read, reader, var, top, up, down, source) in crossings {
            // From the box that computes it out to the common group.
            let mut at = Slot::Entity(read);
            for g in up.iter().rev() {
                let out = links.groups[*g].out_slot(var);
                links.groups[*g].edge(at, out, var);
                at = Slot::Child(*g);
            }
            // And in to the box that reads it.
            let mut group = top;
            for g in &down {
                links.groups[group].edge(at, Slot::Child(*g), var);
                at = links.groups[*g].in_slot(source);
                group = *g;
            }
            links.groups[group].edge(at, Slot::Entity(reader), var);
        }
        links
    }

    /// The arrows inside of a group.
    pub(super) fn edges(&self, group: usize) -> impl Iterator<Item = (&(Slot, Slot), &[Var])> {
        self.groups[group]
            .edges
            .iter()
            .map(|(ends, vars)| (ends, &vars[..]))
    }

    /// The boxes for what enters and what leaves a group.
    pub(super) fn ports(&self, group: usize) -> (Vec<Slot>, Vec<Slot>) {
        let border = &self.groups[group];
        let several = |count: usize| if count > MANY_PORTS { 1 } else { count };
        (
            (0..several(border.enter.len())).map(Slot::In).collect(),
            (0..several(border.leave.len())).map(Slot::Out).collect(),
        )
    }

    /// The variables that enter or leave at a box.
    pub(super) fn passing(&self, group: usize, slot: Slot) -> &[Var] {
        let border = &self.groups[group];
        match slot {
            Slot::In(_) if border.enter.len() > MANY_PORTS => &border.together[0],
            Slot::In(k) => border.enter.get(k).map_or(&[], |(_, vars)| vars),
            Slot::Out(_) if border.leave.len() > MANY_PORTS => &border.together[1],
            Slot::Out(k) => border.leave.get(k..=k).unwrap_or_default(),
            Slot::Entity(_) | Slot::Child(_) => &[],
        }
    }

    /// Where that comes from, if it is one box.
    pub(super) fn source(&self, group: usize, slot: Slot) -> Option<Source> {
        let border = &self.groups[group];
        match slot {
            Slot::In(k) if border.enter.len() <= MANY_PORTS => {
                border.enter.get(k).map(|e| Source(e.0))
            }
            _ => None,
        }
    }

    /// The variables that are components of a tuple, as far as they are read.
    pub(super) fn components(&self, tuple: Var) -> &[Var] {
        self.components.get(&tuple).map_or(&[], |list| list)
    }
}

impl Border {
    fn enters(&mut self, source: Outside, var: Var) {
        let k = *self.enter_of.entry(source).or_insert_with(|| {
            self.enter.push((source, Vec::new()));
            self.enter.len() - 1
        });
        let vars = &mut self.enter[k].1;
        if !vars.contains(&var) {
            vars.push(var);
        }
    }

    fn leaves(&mut self, var: Var) {
        let leave = &mut self.leave;
        self.leave_of.entry(var).or_insert_with(|| {
            leave.push(var);
            leave.len() - 1
        });
    }

    fn in_slot(&self, source: Outside) -> Slot {
        match self.enter.len() > MANY_PORTS {
            true => Slot::In(0),
            false => Slot::In(self.enter_of.get(&source).copied().unwrap_or(0)),
        }
    }

    fn out_slot(&self, var: Var) -> Slot {
        match self.leave.len() > MANY_PORTS {
            true => Slot::Out(0),
            false => Slot::Out(self.leave_of.get(&var).copied().unwrap_or(0)),
        }
    }

    fn edge(&mut self, from: Slot, to: Slot, var: Var) {
        let vars = self.edges.entry((from, to)).or_default();
        if !vars.contains(&var) {
            vars.push(var);
        }
    }
}
