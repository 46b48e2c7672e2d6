//! Which boxes stand together: by scopes, and where a group is still too large, by runs of the
//! program.
//!
//! Groups of a group never wait for each other in a circle, so that each can be drawn as one box.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

/// A group with more boxes than this is cut into runs.
const MOST: usize = 60;
/// About so many boxes stand in a run.
const RUN: usize = 20;
/// A group is cut into at most so many runs.
const MOST_RUNS: usize = 24;
/// A scope that holds nothing but this many scopes or fewer is left out: its parts stand for themselves.
const FEW_PARTS: usize = 8;

/// What grouping needs to know of an operation.
pub(super) struct Item {
    /// Its entity.
    pub entity: usize,
    /// The entities of the operations that it reads.
    pub reads: Vec<usize>,
    /// The scope that it was written in, from the outermost.
    pub scope: Arc<[Arc<str>]>,
    /// Whether it belongs to a derivative.
    pub derivative: bool,
    /// File (if it is not the text) and line.
    pub place: Option<(Option<&'static str>, u32)>,
}

/// The groups of a graph; the first is the graph itself.
pub(super) struct Tree {
    pub groups: Vec<Branch>,
    /// The group that each entity stands in.
    home: Vec<usize>,
}

/// A group of the tree.
#[derive(Default)]
pub(super) struct Branch {
    pub label: String,
    pub parent: Option<usize>,
    pub derivative: bool,
    /// How deep it is inside of the graph.
    depth: usize,
    /// The scope that it stands for, if it stands for one.
    scope: Vec<Arc<str>>,
    /// The entities that stand in it directly.
    pub entities: Vec<usize>,
    /// The groups that stand in it directly.
    pub children: Vec<usize>,
    /// All entities in it and in the groups inside, in order.
    pub entities_below: Vec<usize>,
}

/// A group whose inside is to be grouped further.
struct Task {
    group: usize,
    /// Positions in the list of items, in the order of the program.
    items: Vec<usize>,
    /// How many parts of their scopes the items have in common.
    level: usize,
}

/// One box of a group: an operation, or several that form a group.
struct Entry {
    items: Vec<usize>,
    /// The parts of the scope that the group stands for.
    scope: Option<Vec<Arc<str>>>,
}

/// Groups operations.
pub(super) fn grow(entities: usize, items: &[Item]) -> Tree {
    let mut tree = Tree {
        groups: vec![Branch::default()],
        home: vec![0; entities],
    };
    let mut position = vec![usize::MAX; entities];
    for (i, item) in items.iter().enumerate() {
        position[item.entity] = i;
    }
    let mut work = vec![Task {
        group: 0,
        items: (0..items.len()).collect(),
        level: 0,
    }];
    while let Some(mut task) = work.pop() {
        let entries = loop {
            let entries = entries(items, &position, &task);
            match &entries[..] {
                // A scope that holds all there is says nothing new, except within the whole graph.
                [
                    Entry {
                        scope: Some(scope), ..
                    },
                ] if task.group != 0 => {
                    task.level += scope.len();
                    let branch = &mut tree.groups[task.group];
                    branch.scope.extend(scope.iter().cloned());
                    if !branch.scope.is_empty() {
                        branch.label = title(&branch.scope, branch.derivative);
                    }
                }
                _ => break entries,
            }
        };
        let runs = match entries.len() > MOST {
            true => runs(items, &position, entries),
            false => vec![entries],
        };
        let several = runs.len() > 1;
        let count = runs.len();
        for (number, run) in runs.into_iter().enumerate() {
            if several && run.len() > 1 {
                let mut inside: Vec<usize> = run.into_iter().flat_map(|e| e.items).collect();
                inside.sort_unstable();
                let label = span(items, &inside, &task.items, number, count);
                let group = tree.add(task.group, label, derivative(items, &inside), Vec::new());
                work.push(Task {
                    group,
                    items: inside,
                    level: task.level,
                });
                continue;
            }
            for entry in run {
                match entry.scope {
                    Some(scope) => {
                        let derivative = derivative(items, &entry.items);
                        let common = entry.items.first().map_or(&[][..], |i| &items[*i].scope);
                        let level = task.level + scope.len();
                        let whole = common.get(..level).unwrap_or_default().to_vec();
                        let label = title(&whole, derivative);
                        let group = tree.add(task.group, label, derivative, whole);
                        work.push(Task {
                            group,
                            items: entry.items,
                            level,
                        });
                    }
                    None => {
                        for i in entry.items {
                            tree.put(items[i].entity, task.group);
                        }
                    }
                }
            }
        }
    }
    tree
}

fn derivative(items: &[Item], inside: &[usize]) -> bool {
    inside.iter().all(|i| items[*i].derivative)
}

/// A scope by its last part, with the one before it where that is a number.
fn title(scope: &[Arc<str>], derivative: bool) -> String {
    let numbered = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    let name = match scope {
        [.., of, last] if numbered(last) => format!("{of}.{last}"),
        [.., last] => last.to_string(),
        [] => String::new(),
    };
    match derivative {
        true => format!("∂ {name}"),
        false => name,
    }
}

/// What a run of a program is called: by the lines that it was written on.
fn span(items: &[Item], inside: &[usize], all: &[usize], number: usize, count: usize) -> String {
    let lines = |of: &[usize]| {
        let mut file = None;
        let mut lines: Option<(u32, u32)> = None;
        for i in of {
            let (f, line) = items[*i].place?;
            if *file.get_or_insert(f) != f {
                return None;
            }
            let (low, high) = lines.unwrap_or((line, line));
            lines = Some((low.min(line), high.max(line)));
        }
        Some((file?, lines?))
    };
    let mark = if derivative(items, inside) {
        "∂ "
    } else {
        ""
    };
    match (lines(inside), lines(all)) {
        (Some((file, (low, high))), whole) if whole.is_none_or(|(_, (a, b))| a != b) => {
            let range = if low == high {
                format!("{low}")
            } else {
                format!("{low}–{high}")
            };
            match file {
                Some(path) => {
                    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
                    format!("{mark}{name} {range}")
                }
                None if low == high => format!("{mark}line {range}"),
                None => format!("{mark}lines {range}"),
            }
        }
        _ => format!("{mark}part {} of {count}", number + 1),
    }
}

/// The boxes of a group, in an order in which each comes after those that it reads.
fn entries(items: &[Item], position: &[usize], task: &Task) -> Vec<Entry> {
    // Scopes of the next level, and how many items each has.
    type Key<'a> = (bool, &'a [Arc<str>]);
    let rest = |i: usize| items[i].scope.get(task.level..).unwrap_or_default();
    let mut parts: HashMap<Key<'_>, (usize, HashSet<Option<&str>>)> = HashMap::new();
    for i in &task.items {
        if let [first, ..] = rest(*i) {
            let key = (items[*i].derivative, std::slice::from_ref(first));
            let entry = parts.entry(key).or_default();
            entry.0 += 1;
            entry.1.insert(rest(*i).get(1).map(|s| &**s));
        }
    }
    let key = |i: usize| -> Option<Key<'_>> {
        let rest = rest(i);
        let first = rest.get(..1)?;
        let (count, below) = parts.get(&(items[i].derivative, first))?;
        let only_scopes = !below.contains(&None) && below.len() <= FEW_PARTS;
        let key = if only_scopes { rest.get(..2)? } else { first };
        (*count > 1).then_some((items[i].derivative, key))
    };
    let mut names: Vec<Key<'_>> = Vec::new();
    let mut number: HashMap<Key<'_>, usize> = HashMap::new();
    // The cluster of each item; those without a scope are their own.
    let mut cluster: HashMap<usize, usize> = HashMap::new();
    for i in &task.items {
        if let Some(key) = key(*i) {
            let c = *number.entry(key).or_insert_with(|| {
                names.push(key);
                names.len() - 1
            });
            cluster.insert(*i, c);
        }
    }
    let mut next = names.len();
    for i in &task.items {
        cluster.entry(*i).or_insert_with(|| {
            next += 1;
            next - 1
        });
    }
    let inner = |e: &usize| {
        let i = position.get(*e).copied()?;
        Some((i, *cluster.get(&i)?))
    };
    let of = |i: usize| cluster.get(&i).copied().unwrap_or(0);
    let mut arrows: Vec<(usize, usize)> = Vec::new();
    for i in &task.items {
        let to = of(*i);
        let from = items[*i].reads.iter().filter_map(inner).map(|(_, c)| c);
        arrows.extend(from.filter(|from| *from != to).map(|from| (from, to)));
    }
    arrows.sort_unstable();
    arrows.dedup();
    let circle = circles(next, &arrows);
    // Within a circle a cluster is cut where it waits for another one.
    let mut wait: HashMap<usize, usize> = HashMap::new();
    for i in &task.items {
        let mine = of(*i);
        let reads = items[*i].reads.iter().filter_map(inner);
        let within = reads.filter(|(_, c)| circle[*c] == circle[mine]);
        let step =
            |(r, c): (usize, usize)| wait.get(&r).copied().unwrap_or(0) + usize::from(c != mine);
        let waits = within.map(step).max().unwrap_or(0);
        wait.insert(*i, waits);
    }
    let mut entries: Vec<Entry> = Vec::new();
    let mut entry_of: HashMap<(usize, usize), usize> = HashMap::new();
    let mut at: HashMap<usize, usize> = HashMap::new();
    for i in &task.items {
        let mine = of(*i);
        let key = (mine, wait.get(i).copied().unwrap_or(0));
        let e = *entry_of.entry(key).or_insert_with(|| {
            entries.push(Entry {
                items: Vec::new(),
                scope: names.get(mine).map(|(_, scope)| scope.to_vec()),
            });
            entries.len() - 1
        });
        entries[e].items.push(*i);
        at.insert(*i, e);
    }
    for entry in &mut entries {
        if entry.items.len() == 1 {
            entry.scope = None;
        }
    }
    sorted(items, position, entries, &at)
}

/// Sorts entries so that each comes after those that it reads, otherwise in the order of the program.
fn sorted(
    items: &[Item],
    position: &[usize],
    entries: Vec<Entry>,
    at: &HashMap<usize, usize>,
) -> Vec<Entry> {
    let count = entries.len();
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut waits = vec![0usize; count];
    for (e, entry) in entries.iter().enumerate() {
        let reads = entry.items.iter().flat_map(|i| &items[*i].reads);
        let mut from: Vec<usize> = reads
            .filter_map(|r| at.get(position.get(*r)?).copied())
            .filter(|from| *from != e)
            .collect();
        from.sort_unstable();
        from.dedup();
        waits[e] = from.len();
        for f in from {
            readers[f].push(e);
        }
    }
    let first = |e: usize| entries[e].items.first().copied().unwrap_or(0);
    let mut ready: BinaryHeap<Reverse<(usize, usize)>> = (0..count)
        .filter(|e| waits[*e] == 0)
        .map(|e| Reverse((first(e), e)))
        .collect();
    let mut order = Vec::with_capacity(count);
    while let Some(Reverse((_, e))) = ready.pop() {
        order.push(e);
        for r in &readers[e] {
            waits[*r] -= 1;
            if waits[*r] == 0 {
                ready.push(Reverse((first(*r), *r)));
            }
        }
    }
    let mut entries: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
    order
        .into_iter()
        .filter_map(|e| entries[e].take())
        .collect()
}

/// The number of the circle that each vertex is in (strongly connected components, by R. Tarjan's
/// algorithm with a work list). Vertices in no circle have numbers of their own.
fn circles(count: usize, arrows: &[(usize, usize)]) -> Vec<usize> {
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (a, b) in arrows {
        next[*a].push(*b);
    }
    const NEW: usize = usize::MAX;
    let (mut index, mut low, mut circle) = (vec![NEW; count], vec![0; count], vec![NEW; count]);
    let (mut counter, mut found) = (0, 0);
    let mut open: Vec<usize> = Vec::new();
    for start in 0..count {
        if index[start] != NEW {
            continue;
        }
        let mut work: Vec<(usize, usize)> = vec![(start, 0)];
        while let Some((v, step)) = work.pop() {
            if step == 0 {
                index[v] = counter;
                low[v] = counter;
                counter += 1;
                open.push(v);
            } else {
                // Back from the neighbour that was walked last.
                low[v] = low[v].min(low[next[v][step - 1]]);
            }
            let mut step = step;
            let mut deeper = None;
            while let Some(w) = next[v].get(step).copied() {
                step += 1;
                if index[w] == NEW {
                    deeper = Some(w);
                    break;
                }
                if circle[w] == NEW {
                    low[v] = low[v].min(index[w]);
                }
            }
            if let Some(w) = deeper {
                work.push((v, step));
                work.push((w, 0));
                continue;
            }
            if low[v] == index[v] {
                while let Some(w) = open.pop() {
                    circle[w] = found;
                    if w == v {
                        break;
                    }
                }
                found += 1;
            }
        }
    }
    circle
}

/// Cuts a list of entries into runs of about the same length, near which little is read across.
fn runs(items: &[Item], position: &[usize], entries: Vec<Entry>) -> Vec<Vec<Entry>> {
    let count = entries.len();
    let pieces = count.div_ceil(RUN).clamp(2, MOST_RUNS);
    let mut place: HashMap<usize, usize> = HashMap::new();
    for (e, entry) in entries.iter().enumerate() {
        place.extend(entry.items.iter().map(|i| (*i, e)));
    }
    // For each item the last entry that reads it; then how many are read across each cut.
    let mut last: HashMap<usize, usize> = HashMap::new();
    for (e, entry) in entries.iter().enumerate() {
        for r in entry.items.iter().flat_map(|i| &items[*i].reads) {
            if let Some(i) = position.get(*r).filter(|i| place.contains_key(i)) {
                let end = last.entry(*i).or_insert(e);
                *end = (*end).max(e);
            }
        }
    }
    let mut change = vec![0i64; count + 1];
    for (i, end) in &last {
        let start = place.get(i).copied().unwrap_or(*end);
        if start < *end {
            change[start + 1] += 1;
            change[end + 1] -= 1;
        }
    }
    let mut across = vec![0i64; count + 1];
    for c in 1..=count {
        across[c] = across[c - 1] + change[c];
    }
    // Forward and backward are kept apart where that is near.
    let backward: Vec<bool> = entries
        .iter()
        .map(|e| derivative(items, &e.items))
        .collect();
    let weight = |c: usize| match backward[c - 1] != backward[c] {
        true => -1,
        false => across[c],
    };
    let reach = (count / pieces / 4).max(1);
    let mut cuts = vec![0];
    for k in 1..pieces {
        let ideal = k * count / pieces;
        let low = ideal
            .saturating_sub(reach)
            .max(cuts.last().map_or(1, |c| c + 1));
        let high = (ideal + reach).min(count - 1);
        let best = (low..=high).min_by_key(|c| (weight(*c), c.abs_diff(ideal)));
        cuts.extend(best);
    }
    cuts.push(count);
    let mut entries = entries.into_iter();
    cuts.windows(2)
        .map(|pair| entries.by_ref().take(pair[1] - pair[0]).collect())
        .collect()
}

impl Tree {
    fn add(
        &mut self,
        parent: usize,
        label: String,
        derivative: bool,
        scope: Vec<Arc<str>>,
    ) -> usize {
        let group = self.groups.len();
        let depth = self.groups[parent].depth + 1;
        self.groups.push(Branch {
            label,
            parent: Some(parent),
            derivative,
            depth,
            scope,
            ..Branch::default()
        });
        self.groups[parent].children.push(group);
        group
    }

    /// Puts an entity into a group.
    pub(super) fn put(&mut self, entity: usize, group: usize) {
        self.groups[group].entities.push(entity);
        self.home[entity] = group;
    }

    /// Moves entities of a group into a new group inside of it.
    pub(super) fn wrap(&mut self, group: usize, entities: &[usize], label: &str) {
        let inner = self.add(group, label.to_owned(), false, Vec::new());
        let moved: HashSet<usize> = entities.iter().copied().collect();
        self.groups[group].entities.retain(|e| !moved.contains(e));
        for e in entities {
            self.put(*e, inner);
        }
    }

    /// The group that an entity stands in.
    pub(super) fn home(&self, entity: usize) -> usize {
        self.home[entity]
    }

    /// The innermost group that holds both.
    pub(super) fn common(&self, a: usize, b: usize) -> usize {
        let (mut a, mut b) = (a, b);
        while a != b {
            let (deep, other) = if self.groups[a].depth >= self.groups[b].depth {
                (&mut a, b)
            } else {
                (&mut b, a)
            };
            match self.groups[*deep].parent {
                Some(parent) => *deep = parent,
                None => return other,
            }
        }
        a
    }

    /// The groups from just below `outer` down to `inner`.
    pub(super) fn path(&self, outer: usize, inner: usize) -> Vec<usize> {
        let mut path = Vec::new();
        let mut at = inner;
        while at != outer {
            path.push(at);
            match self.groups[at].parent {
                Some(parent) => at = parent,
                None => break,
            }
        }
        path.reverse();
        path
    }

    /// The group inside of which an input stands that is read in `reader` alone: as deep as groups
    /// are mere runs of the program, or scopes by which the input is named.
    pub(super) fn owner(&self, reader: usize, name: &str) -> usize {
        let mut owner = 0;
        for group in self.path(0, reader) {
            let scope = &self.groups[group].scope;
            let named = scope.is_empty() || name.contains(&scope.join("_"));
            if !named {
                break;
            }
            owner = group;
        }
        owner
    }

    /// Lists what is below each group, once everything stands in its place.
    pub(super) fn finish(&mut self) {
        for g in (0..self.groups.len()).rev() {
            let mut below = self.groups[g].entities.clone();
            for c in &self.groups[g].children {
                below.extend(&self.groups[*c].entities_below);
            }
            below.sort_unstable();
            self.groups[g].entities_below = below;
        }
    }
}
