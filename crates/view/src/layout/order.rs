//! The order of boxes and passing arrows within each rank, with few crossings.

use super::Vertex;

/// How often the ranks are walked down and up.
const SWEEPS: usize = 12;
/// Above this many vertices neighbours are not tried the other way around.
const MOST_SWAPPED: usize = 3000;

/// Orders the ranks, and the neighbours of each vertex along with them.
pub(super) fn order(vertices: &mut [Vertex]) -> Vec<Vec<usize>> {
    let mut layers = first(vertices);
    let mut position = vec![0usize; vertices.len()];
    number(&layers, &mut position);
    let mut best = (crossings(vertices, &layers, &position), layers.clone());
    for sweep in 0..SWEEPS {
        if best.0 == 0 {
            break;
        }
        let down = sweep % 2 == 0;
        let count = layers.len();
        for i in 1..count {
            let r = if down { i } else { count - 1 - i };
            arrange(vertices, &mut layers[r], &mut position, down);
        }
        if vertices.len() <= MOST_SWAPPED {
            for layer in &mut layers {
                swap(vertices, layer, &mut position);
            }
        }
        let found = crossings(vertices, &layers, &position);
        if found < best.0 {
            best = (found, layers.clone());
        }
    }
    let layers = best.1;
    number(&layers, &mut position);
    for vertex in vertices.iter_mut() {
        vertex.up.sort_by_key(|v| position[*v]);
        vertex.down.sort_by_key(|v| position[*v]);
    }
    layers
}

/// The order in which a walk in depth from the first boxes meets the vertices.
fn first(vertices: &[Vertex]) -> Vec<Vec<usize>> {
    let ranks = vertices.iter().map(|v| v.rank + 1).max().unwrap_or(0);
    let mut layers = vec![Vec::new(); ranks];
    let mut met = vec![false; vertices.len()];
    for start in (0..vertices.len()).filter(|v| vertices[*v].up.is_empty()) {
        let mut work = vec![start];
        while let Some(v) = work.pop() {
            if std::mem::replace(&mut met[v], true) {
                continue;
            }
            layers[vertices[v].rank].push(v);
            work.extend(vertices[v].down.iter().rev());
        }
    }
    layers
}

fn number(layers: &[Vec<usize>], position: &mut [usize]) {
    for layer in layers {
        for (i, v) in layer.iter().enumerate() {
            position[*v] = i;
        }
    }
}

/// Sorts a rank by the means of the neighbours' positions above (or below). Vertices without such
/// neighbours keep their positions.
fn arrange(vertices: &[Vertex], layer: &mut [usize], position: &mut [usize], down: bool) {
    let mean = |v: usize| {
        let list = if down {
            &vertices[v].up
        } else {
            &vertices[v].down
        };
        if list.is_empty() {
            return None;
        }
        let sum: usize = list.iter().map(|n| position[*n]).sum();
        Some(sum as f64 / list.len() as f64)
    };
    let means: Vec<Option<f64>> = layer.iter().map(|v| mean(*v)).collect();
    let mut moved: Vec<(f64, usize)> = (layer.iter().zip(&means))
        .filter_map(|(v, m)| m.map(|m| (m, *v)))
        .collect();
    moved.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut moved = moved.into_iter();
    for (place, mean) in layer.iter_mut().zip(&means) {
        if mean.is_some()
            && let Some((_, v)) = moved.next()
        {
            *place = v;
        }
    }
    for (i, v) in layer.iter().enumerate() {
        position[*v] = i;
    }
}

/// Exchanges neighbours of a rank where that takes crossings away.
fn swap(vertices: &[Vertex], layer: &mut [usize], position: &mut [usize]) {
    for i in 1..layer.len() {
        let (a, b) = (layer[i - 1], layer[i]);
        let (now, then) = [
            (&vertices[a].up, &vertices[b].up),
            (&vertices[a].down, &vertices[b].down),
        ]
        .into_iter()
        .map(|(a, b)| (between(a, b, position), between(b, a, position)))
        .fold((0, 0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
        if then < now {
            layer.swap(i - 1, i);
            position[a] = i;
            position[b] = i - 1;
        }
    }
}

/// Crossings of the arrows of a left and a right vertex.
fn between(left: &[usize], right: &[usize], position: &[usize]) -> usize {
    let crossed = |l: &usize| {
        right
            .iter()
            .filter(|r| position[**r] < position[*l])
            .count()
    };
    left.iter().map(crossed).sum()
}

/// All crossings, by a tree of partial sums (Fenwick) for each pair of ranks.
fn crossings(vertices: &[Vertex], layers: &[Vec<usize>], position: &[usize]) -> usize {
    let mut total = 0;
    for pair in layers.windows(2) {
        let [above, below] = pair else { continue };
        let mut tree = vec![0usize; below.len() + 1];
        let mut seen = 0;
        for v in above {
            let mut ends: Vec<usize> = vertices[*v].down.iter().map(|d| position[*d]).collect();
            ends.sort_unstable();
            // All ends are counted before they are added: arrows of one vertex do not cross.
            for end in &ends {
                let (mut i, mut before) = (end + 1, 0);
                while i > 0 {
                    before += tree[i];
                    i &= i - 1;
                }
                total += seen - before;
            }
            for end in ends {
                let mut i = end + 1;
                while i < tree.len() {
                    tree[i] += 1;
                    i += i & i.wrapping_neg();
                }
                seen += 1;
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vertex(rank: usize, up: &[usize], down: &[usize]) -> Vertex {
        Vertex {
            rank,
            width: 10.0,
            passing: false,
            up: up.to_vec(),
            down: down.to_vec(),
        }
    }

    #[test]
    fn crossings_are_counted_and_undone() {
        // 0 and 1 above, 2 and 3 below: 0 to 3, 1 to 2, 1 to 3.
        let mut vertices = [
            vertex(0, &[], &[3]),
            vertex(0, &[], &[2, 3]),
            vertex(1, &[1], &[]),
            vertex(1, &[0, 1], &[]),
        ];
        let layers = [vec![0, 1], vec![2, 3]];
        assert_eq!(crossings(&vertices, &layers, &[0, 1, 0, 1]), 1);
        let layers = order(&mut vertices);
        let mut position = [0; 4];
        number(&layers, &mut position);
        assert_eq!(crossings(&vertices, &layers, &position), 0);
    }
}
