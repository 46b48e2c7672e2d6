//! Orders in which vertices are coloured.

use super::Pattern;

/// An order, made when it is its turn.
pub(super) type Order<'a> = Box<dyn Fn() -> Vec<u32> + 'a>;

/// Orders that look at the neighbours of each neighbour are left out beyond this much work.
const MAX_WORK: u64 = 50_000_000;

/// Orders of the columns of a pattern; neighbours are columns with an entry in a common row.
pub(super) fn of_columns<'a>(pattern: &'a Pattern, columns: &'a Pattern) -> Vec<Order<'a>> {
    let count = columns.rows();
    // A neighbour through several rows counts once for each.
    let degree = move |j: usize| -> u64 {
        let rows = columns.row(j).iter();
        rows.map(|i| pattern.row(*i as usize).len() as u64 - 1)
            .sum()
    };
    let work = (0..pattern.rows()).map(|i| (pattern.row(i).len() as u64).pow(2));
    let work = work.fold(0_u64, u64::saturating_add);
    let mut orders: Vec<Order<'a>> = vec![
        Box::new(move || (0..count as u32).collect()),
        Box::new(move || by_degree(count, degree)),
    ];
    if work <= MAX_WORK {
        let visit = move |j: usize, f: &mut dyn FnMut(usize)| {
            for i in columns.row(j) {
                for k in pattern
                    .row(*i as usize)
                    .iter()
                    .filter(|k| **k as usize != j)
                {
                    f(*k as usize);
                }
            }
        };
        orders.push(Box::new(move || smallest_last(count, degree, visit)));
        orders.push(Box::new(move || incidence(count, visit)));
    }
    orders
}

/// Orders of the vertices of a graph.
pub(super) fn of_vertices(graph: &Pattern) -> Vec<Order<'_>> {
    let count = graph.rows();
    let degree = move |v: usize| graph.row(v).len() as u64;
    let visit = move |v: usize, f: &mut dyn FnMut(usize)| {
        for w in graph.row(v) {
            f(*w as usize);
        }
    };
    vec![
        Box::new(move || (0..count as u32).collect()),
        Box::new(move || by_degree(count, degree)),
        Box::new(move || smallest_last(count, degree, visit)),
        Box::new(move || incidence(count, visit)),
    ]
}

/// Largest first (Welsh and Powell 1967): by falling number of neighbours.
fn by_degree(count: usize, degree: impl Fn(usize) -> u64) -> Vec<u32> {
    let mut order: Vec<(u64, u32)> = (0..count).map(|v| (degree(v), v as u32)).collect();
    order.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    order.into_iter().map(|(_, v)| v).collect()
}

/// Smallest last (Matula and Beck 1983): backwards, the vertex with the fewest neighbours among
/// those that are left.
fn smallest_last(
    count: usize,
    degree: impl Fn(usize) -> u64,
    visit: impl Fn(usize, &mut dyn FnMut(usize)),
) -> Vec<u32> {
    let mut degrees: Vec<usize> = (0..count).map(|v| degree(v) as usize).collect();
    let mut queue = Queue::new(count, degrees.iter().copied());
    let mut taken = vec![false; count];
    let mut order = Vec::with_capacity(count);
    let mut lowest = 0;
    while let Some(v) = queue.take_at_least(&mut lowest, |v, d| !taken[v] && degrees[v] == d) {
        taken[v] = true;
        order.push(v as u32);
        visit(v, &mut |w| {
            if !taken[w] {
                degrees[w] -= 1;
                queue.put(degrees[w], w);
                lowest = lowest.min(degrees[w]);
            }
        });
    }
    order.reverse();
    order
}

/// Incidence degree (Coleman and More 1983): the vertex with the most neighbours among those that
/// are coloured.
fn incidence(count: usize, visit: impl Fn(usize, &mut dyn FnMut(usize))) -> Vec<u32> {
    let mut degrees = vec![0_usize; count];
    let mut queue = Queue::new(count, degrees.iter().copied());
    let mut taken = vec![false; count];
    let mut order = Vec::with_capacity(count);
    let mut highest = 0;
    while let Some(v) = queue.take_at_most(&mut highest, |v, d| !taken[v] && degrees[v] == d) {
        taken[v] = true;
        order.push(v as u32);
        visit(v, &mut |w| {
            if !taken[w] {
                degrees[w] += 1;
                queue.put(degrees[w], w);
                highest = highest.max(degrees[w]);
            }
        });
    }
    order
}

/// Vertices by a number; a vertex whose number changes is put in anew, and its older places are
/// passed over.
struct Queue(Vec<Vec<u32>>);

impl Queue {
    fn new(count: usize, numbers: impl Iterator<Item = usize>) -> Queue {
        let mut queue = Queue(Vec::new());
        let numbers: Vec<usize> = numbers.collect();
        // Backwards, so that the first of equals is taken first.
        for v in (0..count).rev() {
            queue.put(numbers[v], v);
        }
        queue
    }

    fn put(&mut self, number: usize, v: usize) {
        if self.0.len() <= number {
            self.0.resize(number + 1, Vec::new());
        }
        self.0[number].push(v as u32);
    }

    fn take(&mut self, number: usize, is: &impl Fn(usize, usize) -> bool) -> Option<usize> {
        while let Some(v) = self.0.get_mut(number)?.pop() {
            if is(v as usize, number) {
                return Some(v as usize);
            }
        }
        None
    }

    fn take_at_least(
        &mut self,
        lowest: &mut usize,
        is: impl Fn(usize, usize) -> bool,
    ) -> Option<usize> {
        while *lowest < self.0.len() {
            if let Some(v) = self.take(*lowest, &is) {
                return Some(v);
            }
            *lowest += 1;
        }
        None
    }

    fn take_at_most(
        &mut self,
        highest: &mut usize,
        is: impl Fn(usize, usize) -> bool,
    ) -> Option<usize> {
        loop {
            if let Some(v) = self.take(*highest, &is) {
                return Some(v);
            }
            *highest = highest.checked_sub(1)?;
        }
    }
}
