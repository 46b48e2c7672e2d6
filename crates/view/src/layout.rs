//! Places boxes by layers, so that every arrow points downward and long arrows run straight.
//!
//! The method of Sugiyama, Tagawa and Toda (1981): ranks along the arrows, an order within each rank
//! with few crossings (barycentres), then places, by the algorithm of Brandes and Köpf, "Fast and
//! simple horizontal coordinate assignment" (2001). Arrows of one box share their way while they
//! run side by side, so what passes a rank is one thread for each value, not one for each reader.

mod coordinates;
mod order;
mod rank;

use coordinates::coordinates;
use order::order;
use rank::{Ranks, ranks};

/// The space between two boxes of a rank.
pub(crate) const BESIDE: f64 = 24.0;
/// The space between two ranks, where arrows run and types are written.
const BETWEEN: f64 = 40.0;
/// The most that is added to it where arrows have far to go sideways.
const SLANT: f64 = 56.0;

/// Where boxes and arrows stand, from 0 to `width` and `height`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Placement {
    /// The centre of each box.
    pub centres: Vec<[f64; 2]>,
    /// The corners of each arrow, from border to border; empty for one that is none.
    pub paths: Vec<Vec<[f64; 2]>>,
    /// The extent.
    pub width: f64,
    /// The extent.
    pub height: f64,
}

/// A box, or a place where an arrow passes a rank.
#[derive(Clone, Debug)]
pub(crate) struct Vertex {
    pub rank: usize,
    pub width: f64,
    /// Whether an arrow passes here.
    pub passing: bool,
    /// Neighbours in the rank above.
    pub up: Vec<usize>,
    /// Neighbours in the rank below.
    pub down: Vec<usize>,
}

/// Places boxes of these sizes and the arrows between them. Arrows from a box to itself or to a
/// box that is not there are none. All boxes of a rank have the same centre vertically, and the
/// corners of arrows other than their ends stand at borders of ranks.
pub(crate) fn place(sizes: &[[f64; 2]], arrows: &[(usize, usize)]) -> Placement {
    let count = sizes.len();
    if count == 0 {
        return Placement {
            paths: vec![Vec::new(); arrows.len()],
            ..Placement::default()
        };
    }
    let Ranks {
        rank,
        shelf,
        backward,
    } = ranks(sizes, arrows);
    // An arrow against the order of ranks is placed as its mirror image.
    let directed: Vec<Option<(usize, usize)>> = (arrows.iter().zip(&backward))
        .map(
            |(&(a, b), back)| match (a < count && b < count && a != b, back) {
                (true, false) => Some((a, b)),
                (true, true) => Some((b, a)),
                (false, _) => None,
            },
        )
        .collect();
    let mut vertices: Vec<Vertex> = (0..count)
        .map(|v| Vertex {
            rank: rank[v],
            width: sizes[v][0],
            passing: false,
            up: Vec::new(),
            down: Vec::new(),
        })
        .collect();
    let threads = thread(&mut vertices, &directed);
    let layers = order(&mut vertices);
    let mut x = coordinates(&vertices, &layers);
    align_shelves(&mut x, &vertices, &layers, &shelf);
    let rows = rows(sizes, &rank, &vertices, &x, layers.len());

    let low = (0..vertices.len()).map(|v| x[v] - vertices[v].width / 2.0);
    let low = low.fold(f64::INFINITY, f64::min);
    let x: Vec<f64> = x.iter().map(|x| x - low).collect();
    let high = (0..vertices.len()).map(|v| x[v] + vertices[v].width / 2.0);
    let width = high.fold(0.0, f64::max);
    let height = rows.last().map_or(0.0, |row| row.centre + row.half);
    let centres = (0..count).map(|v| [x[v], rows[rank[v]].centre]).collect();
    let ends = ends(sizes, &x, &directed, &threads);
    let paths = (directed.iter().zip(&threads).zip(ends).zip(&backward))
        .map(|(((arrow, thread), ends), back)| {
            let Some((a, b)) = *arrow else {
                return Vec::new();
            };
            let mut path = corners(sizes, &rank, &rows, &x, (a, b), thread, ends);
            if *back {
                path.reverse();
            }
            path
        })
        .collect();
    Placement {
        centres,
        paths,
        width,
        height,
    }
}

/// A rank: its centre, and half of its tallest box.
struct Row {
    centre: f64,
    half: f64,
}

fn rows(
    sizes: &[[f64; 2]],
    rank: &[usize],
    vertices: &[Vertex],
    x: &[f64],
    count: usize,
) -> Vec<Row> {
    let mut half = vec![0.0f64; count];
    for (size, r) in sizes.iter().zip(rank) {
        half[*r] = half[*r].max(size[1] / 2.0);
    }
    let mut sideways = vec![0.0f64; count];
    for (v, vertex) in vertices.iter().enumerate() {
        for d in &vertex.down {
            sideways[vertex.rank] = sideways[vertex.rank].max((x[v] - x[*d]).abs());
        }
    }
    let mut top = 0.0;
    let mut rows = Vec::with_capacity(count);
    for (half, sideways) in half.into_iter().zip(sideways) {
        rows.push(Row {
            centre: top + half,
            half,
        });
        top += 2.0 * half + BETWEEN + (0.07 * sideways).min(SLANT).round();
    }
    rows
}

/// Gives every arrow over several ranks a vertex in each rank between; arrows of one box share
/// them. Returns the vertices between for each arrow.
fn thread(vertices: &mut Vec<Vertex>, arrows: &[Option<(usize, usize)>]) -> Vec<Vec<usize>> {
    let mut of: Vec<Vec<usize>> = vec![Vec::new(); vertices.len()];
    let mut threads = Vec::with_capacity(arrows.len());
    for arrow in arrows {
        let Some((a, b)) = *arrow else {
            threads.push(Vec::new());
            continue;
        };
        let between = vertices[b].rank.saturating_sub(vertices[a].rank + 1);
        while of[a].len() < between {
            let last = of[a].last().copied().unwrap_or(a);
            let new = vertices.len();
            vertices.push(Vertex {
                rank: vertices[last].rank + 1,
                width: 2.0,
                passing: true,
                up: vec![last],
                down: Vec::new(),
            });
            vertices[last].down.push(new);
            of[a].push(new);
        }
        let thread = of[a][..between].to_vec();
        let last = thread.last().copied().unwrap_or(a);
        if !vertices[last].down.contains(&b) {
            vertices[last].down.push(b);
            vertices[b].up.push(last);
        }
        threads.push(thread);
    }
    threads
}

/// Centres the shelves above each other.
fn align_shelves(x: &mut [f64], vertices: &[Vertex], layers: &[Vec<usize>], shelf: &[usize]) {
    let shelves = shelf.iter().copied().max().map_or(0, |most| most + 1);
    if shelves < 2 {
        return;
    }
    let mut span = vec![(f64::INFINITY, f64::NEG_INFINITY); shelves];
    for v in layers.iter().flatten() {
        let Some(s) = shelf.get(vertices[*v].rank) else {
            continue;
        };
        let half = vertices[*v].width / 2.0;
        span[*s].0 = span[*s].0.min(x[*v] - half);
        span[*s].1 = span[*s].1.max(x[*v] + half);
    }
    for v in layers.iter().flatten() {
        let Some(s) = shelf.get(vertices[*v].rank) else {
            continue;
        };
        x[*v] -= f64::midpoint(span[*s].0, span[*s].1).round();
    }
}

/// The x of both ends of each arrow: arrows that end at one box end side by side, in the order in
/// which they come, and so do arrows that leave a wide box.
fn ends(
    sizes: &[[f64; 2]],
    x: &[f64],
    arrows: &[Option<(usize, usize)>],
    threads: &[Vec<usize>],
) -> Vec<[f64; 2]> {
    let mut ends = vec![[0.0; 2]; arrows.len()];
    // For each box and side: the neighbour that an arrow comes from or goes to first.
    let mut sides: Vec<[Vec<(usize, usize)>; 2]> = vec![[Vec::new(), Vec::new()]; sizes.len()];
    for (k, (arrow, thread)) in arrows.iter().zip(threads).enumerate() {
        if let Some((a, b)) = *arrow {
            sides[a][0].push((thread.first().copied().unwrap_or(b), k));
            sides[b][1].push((thread.last().copied().unwrap_or(a), k));
        }
    }
    for (v, of) in sides.into_iter().enumerate() {
        for (side, mut list) in of.into_iter().enumerate() {
            list.sort_by(|a, b| x[a.0].total_cmp(&x[b.0]).then(a.cmp(b)));
            let mut neighbours: Vec<usize> = list.iter().map(|l| l.0).collect();
            neighbours.dedup();
            let at = spread(x[v], sizes[v][0], side == 0, &neighbours, x);
            for (neighbour, k) in list {
                let i = neighbours.iter().position(|n| *n == neighbour).unwrap_or(0);
                ends[k][side] = at.get(i).copied().unwrap_or(x[v]);
            }
        }
    }
    ends
}

/// Boxes at least this wide take their arrows where these come from.
const WIDE: f64 = 200.0;

/// Places on one side of a box for arrows to these neighbours, from left to right.
fn spread(centre: f64, width: f64, leaving: bool, neighbours: &[usize], x: &[f64]) -> Vec<f64> {
    let count = neighbours.len();
    let room = (width / 2.0 - 12.0).max(0.0);
    if width < WIDE {
        // One result leaves an operation, however many read it.
        if leaving || count < 2 {
            return vec![centre; count];
        }
        let step = (2.0 * room / (count - 1) as f64).min(16.0);
        let middle = (count - 1) as f64 / 2.0;
        return (0..count)
            .map(|i| centre + (i as f64 - middle) * step)
            .collect();
    }
    let step = (2.0 * room / count.max(1) as f64).min(14.0);
    let mut at: Vec<f64> = (neighbours.iter())
        .map(|n| x[*n].clamp(centre - room, centre + room))
        .collect();
    for i in 1..count {
        at[i] = at[i].max(at[i - 1] + step);
    }
    for i in (0..count).rev() {
        let most = match at.get(i + 1) {
            Some(next) => next - step,
            None => centre + room,
        };
        at[i] = at[i].min(most);
    }
    at
}

/// The corners of an arrow: its ends, and the borders of the ranks that it passes.
fn corners(
    sizes: &[[f64; 2]],
    rank: &[usize],
    rows: &[Row],
    x: &[f64],
    (a, b): (usize, usize),
    thread: &[usize],
    [start, end]: [f64; 2],
) -> Vec<[f64; 2]> {
    let (above, below) = (&rows[rank[a]], &rows[rank[b]]);
    let mut path = vec![[start, above.centre + sizes[a][1] / 2.0]];
    let mut to = |point: [f64; 2]| {
        if path.last() != Some(&point) {
            path.push(point);
        }
    };
    to([start, above.centre + above.half]);
    for (i, v) in thread.iter().enumerate() {
        let row = &rows[rank[a] + 1 + i];
        to([x[*v], row.centre - row.half]);
        to([x[*v], row.centre + row.half]);
    }
    to([end, below.centre - below.half]);
    to([end, below.centre - sizes[b][1] / 2.0]);
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlap(sizes: &[[f64; 2]], p: &Placement) -> bool {
        let apart = |a: usize, b: usize, axis: usize| {
            let reach = (sizes[a][axis] + sizes[b][axis]) / 2.0;
            (p.centres[a][axis] - p.centres[b][axis]).abs() >= reach
        };
        (0..sizes.len()).any(|a| (0..a).any(|b| !apart(a, b, 0) && !apart(a, b, 1)))
    }

    /// Numbers that look random (Knuth's multiplier), for reproducible graphs.
    fn numbers(mut state: u64) -> impl FnMut(usize) -> usize {
        move |below| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below.max(1)
        }
    }

    fn random(count: usize, seed: u64) -> (Vec<[f64; 2]>, Vec<(usize, usize)>) {
        let mut next = numbers(seed);
        let sizes = (0..count)
            .map(|_| [40.0 + next(300) as f64, 20.0 + next(200) as f64])
            .collect();
        let mut arrows = Vec::new();
        for v in 1..count {
            for _ in 0..next(4) {
                arrows.push((v - 1 - next(v.min(20)), v));
            }
        }
        (sizes, arrows)
    }

    #[test]
    fn boxes_never_overlap_and_arrows_end_on_borders() {
        for seed in 0..60 {
            let (sizes, arrows) = random(2 + seed as usize, seed);
            let p = place(&sizes, &arrows);
            assert!(!overlap(&sizes, &p), "seed {seed}");
            for ((a, b), path) in arrows.iter().zip(&p.paths) {
                for (v, end, side) in [(a, path.first(), 1.0), (b, path.last(), -1.0)] {
                    let [x, y] = *end.unwrap();
                    let [cx, cy] = p.centres[*v];
                    assert!((x - cx).abs() <= sizes[*v][0] / 2.0, "seed {seed}");
                    assert!(
                        (y - cy - side * sizes[*v][1] / 2.0).abs() < 1e-9,
                        "seed {seed}"
                    );
                }
            }
            for (size, [x, y]) in sizes.iter().zip(&p.centres) {
                assert!(x - size[0] / 2.0 >= -1e-9 && x + size[0] / 2.0 <= p.width + 1e-9);
                assert!(y - size[1] / 2.0 >= -1e-9 && y + size[1] / 2.0 <= p.height + 1e-9);
            }
        }
    }

    #[test]
    fn arrows_pass_no_box() {
        for seed in 0..40 {
            let (sizes, arrows) = random(30, 1000 + seed);
            let p = place(&sizes, &arrows);
            for (arrow, path) in arrows.iter().zip(&p.paths) {
                for ([x0, y0], [x1, y1]) in path.iter().zip(path.iter().skip(1)) {
                    if (x0 - x1).abs() > 1e-9 {
                        continue; // Between two ranks, where no boxes are.
                    }
                    for v in (0..sizes.len()).filter(|v| *v != arrow.0 && *v != arrow.1) {
                        let [cx, cy] = p.centres[v];
                        let inside = (x0 - cx).abs() < sizes[v][0] / 2.0;
                        let from = y0.max(cy - sizes[v][1] / 2.0);
                        let to = y1.min(cy + sizes[v][1] / 2.0);
                        assert!(
                            !inside || from >= to - 1e-9,
                            "seed {seed}, box {v}, {arrow:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn odd_arrows_do_no_harm() {
        let sizes = [[10.0, 10.0]; 3];
        let arrows = [(0, 1), (1, 2), (2, 0), (1, 1), (0, 7), (0, 1)];
        let p = place(&sizes, &arrows);
        assert!(!overlap(&sizes, &p));
        assert!(p.paths[3].is_empty() && p.paths[4].is_empty());
        assert_eq!(p.paths[0], p.paths[5]);
        // The arrow that closes the circle begins at box 2, at its upper side.
        assert_eq!(p.paths[2][0][1], p.centres[2][1] - 5.0);
        assert_eq!(place(&[], &[(0, 0)]).paths, [Vec::<[f64; 2]>::new()]);
    }

    #[test]
    fn a_chain_is_straight() {
        let sizes = [[40.0, 20.0], [100.0, 20.0], [60.0, 20.0], [80.0, 20.0]];
        let p = place(&sizes, &[(0, 1), (1, 2), (2, 3)]);
        assert!(p.centres.iter().all(|c| c[0] == p.centres[0][0]));
    }

    #[test]
    fn many_loose_boxes_stand_in_several_rows() {
        let sizes = vec![[100.0, 20.0]; 200];
        let p = place(&sizes, &[]);
        assert!(!overlap(&sizes, &p));
        assert!(
            p.width < 3000.0 && p.height < 3000.0,
            "{} {}",
            p.width,
            p.height
        );
    }
}
