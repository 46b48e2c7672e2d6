//! A graph as boxes and arrows, grouped by scopes and by the functions that it calls.

mod cluster;
mod label;

pub(crate) use label::partials;
mod links;
mod open;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use cotangent_graph::ops::{Region, RuleKind};
use cotangent_graph::{Equation, Graph, Line, Listing, Location, Op, Scope, Type, Var};

use crate::layout;
use crate::model::{Edge, Group, Node, Picture};
use cluster::{Item, Tree};
use links::{Links, Slot};

/// Functions that are called are drawn inside of their callers as long as there are fewer boxes
/// than this in all.
const MOST_BOXES: usize = 20_000;
/// The same for a function that has been drawn before.
const MOST_REPEATED: usize = 4_000;
/// More inputs and constants than this, or more results, of one group stand in a box of their own.
const MANY: usize = 8;

/// What a picture is made of beside the graph.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// The name of the text that the graph was read from, for places: `f.ct`.
    pub source: Option<&'a str>,
}

/// The picture of a graph: every box and arrow with its place.
///
/// The number of a box that stands for a variable of this graph (not of one that it calls) is the
/// position of the variable's equation, so that whoever walks through the graph finds it. No box of
/// their own have numbers that stand in their reader's box, and components of tuples, which are the
/// arrows that leave the tuple.
///
/// ```
/// let f = cotangent_graph::parse("fn f(w: f64) -> f64 { 0.5 * sin(sin(w)) }")?.entry().clone();
/// let picture = cotangent_view::picture(&f);
/// let labels: Vec<&str> = picture.groups[0].nodes.iter().map(|n| &n.label[..]).collect();
/// assert_eq!(labels, ["w", "sin", "sin", "mul 0.5", "result"]);
/// # Ok::<(), cotangent_graph::ParseError>(())
/// ```
pub fn picture(graph: &Graph) -> Picture {
    picture_with(graph, &Options::default())
}

/// As [`picture`], with options.
pub fn picture_with(graph: &Graph, options: &Options<'_>) -> Picture {
    let listing = Listing::new(graph);
    let mut scene = Scene {
        groups: vec![Group {
            label: listing.name(graph).to_owned(),
            kind: "graph".to_owned(),
            open: true,
            ..Group::default()
        }],
        repeated: vec![false],
        boxes: 0,
        next: u32::try_from(graph.equations().len()).unwrap_or(u32::MAX),
        listing: &listing,
        options,
        drawn: HashSet::new(),
        work: VecDeque::new(),
    };
    scene.drawn.insert(graph.fingerprint());
    scene.fill(graph, 0, true);
    // Breadth first: what is near the top is drawn before the boxes run out.
    while let Some((callee, group)) = scene.work.pop_front() {
        scene.fill(callee, group, false);
    }
    let mut picture = Picture {
        name: listing.name(graph).to_owned(),
        groups: scene.groups,
    };
    open::choose(&mut picture, &scene.repeated);
    for group in &mut picture.groups {
        arrange(group);
    }
    picture
}

/// The space between the border of a group and what is inside.
pub(crate) const MARGIN: f64 = 18.0;
/// The height of the band above, which holds the label.
pub(crate) const BAND: f64 = 30.0;

/// Places what is inside of a group, with its child groups folded.
fn arrange(group: &mut Group) {
    let sizes: Vec<[f64; 2]> = group.nodes.iter().map(|n| [n.width, n.height]).collect();
    let arrows: Vec<(usize, usize)> = group.edges.iter().map(|e| (e.from, e.to)).collect();
    let placed = layout::place(&sizes, &arrows);
    for (node, [x, y]) in group.nodes.iter_mut().zip(&placed.centres) {
        node.x = x + MARGIN;
        node.y = y + MARGIN + BAND;
    }
    for (edge, path) in group.edges.iter_mut().zip(placed.paths) {
        edge.points = path;
        for [x, y] in &mut edge.points {
            *x += MARGIN;
            *y += MARGIN + BAND;
        }
    }
    group.width = placed.width + 2.0 * MARGIN;
    group.height = placed.height + 2.0 * MARGIN + BAND;
}

struct Scene<'a> {
    groups: Vec<Group>,
    /// Whether a group is the content of one that was drawn before.
    repeated: Vec<bool>,
    boxes: usize,
    /// The next free number of a box.
    next: u32,
    listing: &'a Listing,
    options: &'a Options<'a>,
    /// Fingerprints of the functions drawn so far.
    drawn: HashSet<u128>,
    work: VecDeque<(&'a Graph, usize)>,
}

/// A box of a graph that is not a group of others: input, constant, operation or output.
struct Entity {
    kind: EntityKind,
    var: Var,
    /// What is read: the entity, and the variable, which may be a component of the entity's tuple.
    reads: Vec<(usize, Var)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum EntityKind {
    Input,
    Constant,
    Op,
    Output(usize),
}

/// A graph that is being drawn.
struct Drawn<'g> {
    graph: &'g Graph,
    lines: Vec<Line>,
    entities: Vec<Entity>,
    tree: Tree,
    links: Links,
}

impl<'a> Scene<'a> {
    /// Draws a graph into a group; `own` says that it is the graph asked for, whose variables keep
    /// their numbers.
    fn fill(&mut self, graph: &'a Graph, into: usize, own: bool) {
        let entities = entities(graph);
        let items = items(graph, &entities);
        let mut tree = cluster::grow(entities.len(), &items);
        settle(graph, &entities, &mut tree);
        let links = Links::of(&entities, &tree);
        let drawn = Drawn {
            graph,
            lines: self.listing.lines(graph),
            entities,
            tree,
            links,
        };
        let mut groups = vec![into];
        for node in drawn.tree.groups.iter().skip(1) {
            let parent = node.parent.and_then(|p| groups.get(p)).copied();
            groups.push(self.groups.len());
            self.groups.push(Group {
                label: node.label.clone(),
                kind: "scope".to_owned(),
                in_derivative: node.derivative,
                parent,
                ..Group::default()
            });
            self.repeated.push(false);
        }
        let boxed: Vec<Vec<Slot>> = (0..groups.len()).map(|t| drawn.slots(t)).collect();
        for (t, slots) in boxed.iter().enumerate() {
            let mut nodes = Vec::with_capacity(slots.len());
            for slot in slots {
                let node = self.node(&drawn, t, *slot, &groups, own);
                nodes.push(node);
            }
            let places: HashMap<Slot, usize> =
                slots.iter().enumerate().map(|(i, s)| (*s, i)).collect();
            let edges = drawn.links.edges(t).filter_map(|((from, to), vars)| {
                Some(Edge {
                    from: *places.get(from)?,
                    to: *places.get(to)?,
                    label: label::arrow(graph, vars),
                    points: Vec::new(),
                })
            });
            let edges: Vec<Edge> = edges.collect();
            let group = &mut self.groups[groups[t]];
            group.nodes = nodes;
            group.edges = edges;
        }
    }

    fn number(&mut self) -> u32 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        number
    }

    fn node(&mut self, d: &Drawn<'a>, t: usize, slot: Slot, groups: &[usize], own: bool) -> Node {
        let mut node = match slot {
            Slot::Entity(e) => return self.entity(d, e, groups[t], own),
            Slot::Child(c) => {
                let child = &d.tree.groups[c];
                Node {
                    kind: "group".to_owned(),
                    family: "group".to_owned(),
                    group: groups.get(c).copied(),
                    label: child.label.clone(),
                    in_derivative: child.derivative,
                    operations: child.entities_below.iter().fold(0, |sum: u64, e| {
                        sum.saturating_add(cost(d.graph, &d.entities[*e]))
                    }),
                    ..Node::default()
                }
            }
            Slot::In(_) | Slot::Out(_) => {
                let vars = d.links.passing(t, slot);
                let entering = matches!(slot, Slot::In(_));
                let mut node = Node {
                    kind: if entering { "input" } else { "output" }.to_owned(),
                    family: if entering { "input" } else { "output" }.to_owned(),
                    label: match (vars, d.links.source(t, slot)) {
                        ([one], _) => name_of(d, *one),
                        (_, Some(label)) => label.of(d),
                        (several, None) => format!("{} values", several.len()),
                    },
                    bytes: vars
                        .iter()
                        .fold(0, |sum: u64, v| sum.saturating_add(bytes(d.graph.ty(*v)))),
                    about: if entering {
                        "Comes from outside of this box.".to_owned()
                    } else {
                        "Is read outside of this box.".to_owned()
                    },
                    ..Node::default()
                };
                if let [one] = vars {
                    node.variable = name_of(d, *one);
                    node.ty = d.graph.ty(*one).to_string();
                    node.text = d.lines[one.index()].text.clone();
                } else {
                    let all = vars
                        .iter()
                        .take(12)
                        .map(|v| format!("{}: {}", name_of(d, *v), d.graph.ty(*v)));
                    let mut text: Vec<String> = all.collect();
                    if vars.len() > text.len() {
                        text.push(format!("and {} more", vars.len() - text.len()));
                    }
                    node.text = text.join("\n");
                }
                node
            }
        };
        node.id = self.number();
        label::measure(&mut node);
        node
    }

    fn entity(&mut self, d: &Drawn<'a>, e: usize, group: usize, own: bool) -> Node {
        let entity = &d.entities[e];
        let (var, line) = (entity.var, &d.lines[entity.var.index()]);
        let equation = d.graph.equation(var);
        let mut node = Node {
            variable: line.name.clone(),
            op: equation.op.label().to_owned(),
            ty: equation.ty.to_string(),
            bytes: bytes(&equation.ty),
            operations: cost(d.graph, entity),
            place: self.place(equation.location),
            text: label::clipped(&line.text),
            in_derivative: equation.location.is_some_and(Location::is_derivative),
            ..Node::default()
        };
        match entity.kind {
            EntityKind::Input => {
                node.kind = "input".to_owned();
                node.label = line.name.clone();
                node.text = format!("{}: {}", line.name, equation.ty);
            }
            EntityKind::Constant => {
                node.kind = "constant".to_owned();
                node.label = label::constant(&equation.op);
            }
            EntityKind::Output(k) => {
                node.kind = "output".to_owned();
                node.op = String::new();
                node.operations = 0;
                node.label = match d.graph.outputs().len() {
                    1 => "result".to_owned(),
                    _ => format!("result {k}"),
                };
                node.text = match line.name.is_empty() {
                    true => String::new(),
                    false => format!("{}: {}", line.name, equation.ty),
                };
            }
            EntityKind::Op => {
                node.kind = "op".to_owned();
                node.label = label::operation(d.graph, equation, line, self.listing);
                for get in d.links.components(var) {
                    node.text.push('\n');
                    node.text.push_str(&d.lines[get.index()].text);
                }
                self.expand(equation, group, &mut node);
            }
        }
        label::describe(&mut node, equation, entity.kind);
        node.id = match (own, entity.kind) {
            (true, EntityKind::Input | EntityKind::Constant | EntityKind::Op) => var.index() as u32,
            _ => self.number(),
        };
        label::measure(&mut node);
        node
    }

    /// Gives an operation that runs other graphs a group that holds them, as long as there is room.
    fn expand(&mut self, equation: &'a Equation, parent: usize, node: &mut Node) {
        let bodies: Vec<(&'static str, &'a Graph)> = match &equation.op {
            Op::Call(callee) => vec![("", &callee.0)],
            // Reverse mode uses the function of a checkpoint itself; a name is no more than one.
            Op::Region(Region::Custom(c)) if c.name().is_some() => return,
            Op::Region(Region::Custom(c)) if c.kind == RuleKind::Checkpoint => {
                vec![("", &c.call.0)]
            }
            Op::Region(region) => (region.callees().into_iter())
                .map(|(name, c)| (name, &*c.0))
                .collect(),
            _ => return,
        };
        let size: usize = bodies.iter().map(|(_, g)| g.equations().len()).sum();
        let repeated = bodies
            .iter()
            .all(|(_, g)| self.drawn.contains(&g.fingerprint()));
        let most = if repeated { MOST_REPEATED } else { MOST_BOXES };
        if self.boxes.saturating_add(size) > most {
            return;
        }
        self.boxes += size;
        node.kind = "group".to_owned();
        let kind = match &equation.op {
            Op::Region(Region::Cond(_)) => "branch",
            Op::Region(Region::Scan(_) | Region::While(_) | Region::Sweeps(_)) => "loop",
            Op::Region(Region::Custom(_) | Region::Pullback(_)) => "rule",
            _ => "call",
        };
        let outer = self.push(
            Group {
                label: node.label.clone(),
                kind: kind.to_owned(),
                parent: Some(parent),
                in_derivative: node.in_derivative,
                ..Group::default()
            },
            repeated,
        );
        node.group = Some(outer);
        if let [(_, body)] = bodies[..] {
            self.enter(body, outer);
            return;
        }
        for (name, body) in bodies {
            let label = format!("{name}: {}", self.listing.name(body));
            let inner = self.push(
                Group {
                    label: label.clone(),
                    kind: "call".to_owned(),
                    parent: Some(outer),
                    in_derivative: node.in_derivative,
                    ..Group::default()
                },
                repeated,
            );
            let mut node = Node {
                id: self.number(),
                kind: "group".to_owned(),
                family: "control".to_owned(),
                group: Some(inner),
                label,
                op: "call".to_owned(),
                operations: body.cost(),
                in_derivative: node.in_derivative,
                about: format!("The graph that `{}` runs as `{name}`.", equation.op.name()),
                ..Node::default()
            };
            label::measure(&mut node);
            self.groups[outer].nodes.push(node);
            self.enter(body, inner);
        }
        if matches!(&equation.op, Op::Region(Region::While(_))) {
            // The test decides whether the body runs.
            self.groups[outer].edges.push(Edge {
                from: 0,
                to: 1,
                label: "bool".to_owned(),
                points: Vec::new(),
            });
        }
    }

    fn enter(&mut self, body: &'a Graph, group: usize) {
        self.drawn.insert(body.fingerprint());
        self.work.push_back((body, group));
    }

    fn push(&mut self, group: Group, repeated: bool) -> usize {
        self.groups.push(group);
        self.repeated.push(repeated);
        self.groups.len() - 1
    }

    fn place(&self, location: Option<Location>) -> Option<String> {
        match (location?.origin(), self.options.source) {
            (Location::Text { line, column }, Some(source)) => {
                Some(format!("{source}:{line}:{column}"))
            }
            (other, _) => Some(other.to_string()),
        }
    }
}

impl Drawn<'_> {
    /// The boxes of a group in the order of the program: what enters, what is inside, what leaves.
    fn slots(&self, t: usize) -> Vec<Slot> {
        let group = &self.tree.groups[t];
        let own = group.entities.iter().map(|e| (*e, Slot::Entity(*e)));
        let children = group.children.iter().map(|c| {
            let first = self.tree.groups[*c].entities_below.first();
            (first.copied().unwrap_or(0), Slot::Child(*c))
        });
        let mut inside: Vec<(usize, Slot)> = own.chain(children).collect();
        inside.sort_by_key(|(first, _)| *first);
        let (enter, leave) = self.links.ports(t);
        let inside = inside.into_iter().map(|(_, slot)| slot);
        enter.into_iter().chain(inside).chain(leave).collect()
    }
}

fn name_of(d: &Drawn<'_>, v: Var) -> String {
    d.lines[v.index()].name.clone()
}

fn bytes(ty: &Type) -> u64 {
    ty.components()
        .iter()
        .fold(0u64, |sum, t| sum.saturating_add(t.bytes() as u64))
}

fn cost(graph: &Graph, entity: &Entity) -> u64 {
    let e = graph.equation(entity.var);
    let types: Vec<&Type> = e.args.iter().map(|a| graph.ty(*a)).collect();
    match entity.kind {
        EntityKind::Op => e.op.cost(&types, &e.ty),
        _ => 0,
    }
}

/// The boxes of a graph, in the order of the program, and what they read.
fn entities(graph: &Graph) -> Vec<Entity> {
    let mut entities = Vec::new();
    // The entity that computes each variable; components of tuples have that of the tuple.
    let mut of: Vec<Option<usize>> = vec![None; graph.equations().len()];
    let push = |entities: &mut Vec<Entity>, of: &mut Vec<Option<usize>>, kind, var: Var, reads| {
        if !matches!(kind, EntityKind::Output(_)) {
            of[var.index()] = Some(entities.len());
        }
        entities.push(Entity { kind, var, reads });
    };
    for (v, e) in graph.iter() {
        match &e.op {
            Op::Input => push(&mut entities, &mut of, EntityKind::Input, v, Vec::new()),
            Op::Constant(_) => push(&mut entities, &mut of, EntityKind::Constant, v, Vec::new()),
            // A number stands in the box of its reader.
            Op::Full(..) => {}
            Op::Get(_) => of[v.index()] = e.args.first().and_then(|a| of[a.index()]),
            _ => {
                let reads = e.args.iter().filter_map(|a| Some((of[a.index()]?, *a)));
                let reads = reads.collect();
                push(&mut entities, &mut of, EntityKind::Op, v, reads);
            }
        }
    }
    for (k, o) in graph.outputs().iter().enumerate() {
        if of[o.index()].is_none() {
            push(&mut entities, &mut of, EntityKind::Constant, *o, Vec::new());
        }
        let reads = of[o.index()].map(|e| (e, *o)).into_iter().collect();
        push(&mut entities, &mut of, EntityKind::Output(k), *o, reads);
    }
    entities
}

/// What grouping needs to know of the operations.
fn items(graph: &Graph, entities: &[Entity]) -> Vec<Item> {
    let operation = |e: &usize| entities[*e].kind == EntityKind::Op;
    let of = (0..entities.len()).filter(operation);
    // The names of a scope are looked up once.
    let mut paths: HashMap<Scope, Arc<[Arc<str>]>> = HashMap::new();
    of.map(|i| {
        let equation = graph.equation(entities[i].var);
        let (location, scope) = (equation.location, equation.scope);
        let path = paths.entry(scope).or_insert_with(|| scope.path().into());
        Item {
            entity: i,
            reads: (entities[i].reads.iter().map(|r| r.0))
                .filter(operation)
                .collect(),
            scope: path.clone(),
            derivative: location.is_some_and(Location::is_derivative),
            place: location.and_then(|l| match l.origin() {
                Location::Code(l) => Some((Some(l.file()), l.line())),
                Location::Text { line, .. } => Some((None, line)),
                Location::Derivative(_) => None,
            }),
        }
    })
    .collect()
}

/// Puts inputs and constants into the group of their readers, where these are in one and it is of
/// theirs; many that stay side by side get a box.
fn settle(graph: &Graph, entities: &[Entity], tree: &mut Tree) {
    let mut home: Vec<Option<usize>> = vec![None; entities.len()];
    for (i, entity) in entities.iter().enumerate() {
        // Results stand in the graph itself.
        let reader = match entity.kind {
            EntityKind::Op => tree.home(i),
            _ => 0,
        };
        for (read, _) in &entity.reads {
            home[*read] = Some(match home[*read] {
                Some(so_far) => tree.common(so_far, reader),
                None => reader,
            });
        }
    }
    for (i, entity) in entities.iter().enumerate() {
        let group = match entity.kind {
            EntityKind::Op => continue,
            EntityKind::Output(_) => 0,
            EntityKind::Constant => home[i].unwrap_or(0),
            EntityKind::Input => {
                let names = graph.inputs().iter();
                let name = names
                    .clone()
                    .find(|(_, v)| *v == entity.var)
                    .map_or("", |(n, _)| n);
                tree.owner(home[i].unwrap_or(0), name)
            }
        };
        tree.put(i, group);
    }
    for t in 0..tree.groups.len() {
        let known = |kind| matches!(kind, EntityKind::Input | EntityKind::Constant);
        let result = |kind| matches!(kind, EntityKind::Output(_));
        let sides: [(&dyn Fn(EntityKind) -> bool, &str); 2] =
            [(&known, "inputs"), (&result, "results")];
        for (side, label) in sides {
            let group = &tree.groups[t];
            let all = group.entities.iter().copied();
            let of: Vec<usize> = all.filter(|e| side(entities[*e].kind)).collect();
            if of.len() > MANY && of.len() < group.entities.len() + group.children.len() {
                tree.wrap(t, &of, label);
            }
        }
    }
    tree.finish();
}
