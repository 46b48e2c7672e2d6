//! A picture with some of its groups unfolded, as one sheet of paper shows it.
//!
//! A page unfolds groups one by one and must keep everything in its order; paper may do better. Here
//! every group is placed anew, from the inside out, around the groups that are unfolded in it.

use crate::layout;
use crate::model::Picture;
use crate::scene::{BAND, MARGIN};

/// The space left and right of the whole graph.
const PAGE: f64 = 64.0;

/// A group that is shown, with places from the corner of the sheet.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// Which group of the picture.
    pub group: usize,
    /// The upper left corner.
    pub corner: [f64; 2],
    /// Width and height.
    pub size: [f64; 2],
    /// Centre and size of each box.
    pub boxes: Vec<Placed>,
    /// The corners of each arrow.
    pub paths: Vec<Vec<[f64; 2]>>,
}

/// The place of a box.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub centre: [f64; 2],
    pub size: [f64; 2],
    /// Whether it is a group that is shown unfolded.
    pub unfolded: bool,
}

/// Places the groups that are open, all the way out to the whole graph; parents come first.
pub(crate) fn unfold(picture: &Picture) -> Vec<Shown> {
    let groups = &picture.groups;
    let mut shown = vec![false; groups.len()];
    // The box that stands for each group, in its parent.
    let mut place: Vec<Option<(usize, usize)>> = vec![None; groups.len()];
    if let Some(whole) = shown.first_mut() {
        *whole = true;
    }
    for (g, group) in groups.iter().enumerate() {
        if !shown[g] {
            continue;
        }
        for (n, node) in group.nodes.iter().enumerate() {
            // A parent stands before its children, and a group in one box alone.
            let child = node.group.filter(|c| *c > g && *c < groups.len());
            if let Some(c) = child.filter(|c| groups[*c].open && place[*c].is_none()) {
                shown[c] = true;
                place[c] = Some((g, n));
            }
        }
    }
    let mut sheets: Vec<Option<Shown>> = vec![None; groups.len()];
    for g in (0..groups.len()).rev().filter(|g| shown[*g]) {
        let group = &groups[g];
        let sizes: Vec<([f64; 2], bool)> = (group.nodes.iter().enumerate())
            .map(|(n, node)| {
                let inside = node.group.filter(|c| place.get(*c) == Some(&Some((g, n))));
                let sheet = inside.and_then(|c| sheets.get(c)?.as_ref());
                match sheet {
                    Some(sheet) => (sheet.size, true),
                    None => ([sane(node.width), sane(node.height)], false),
                }
            })
            .collect();
        let arrows: Vec<(usize, usize)> = group.edges.iter().map(|e| (e.from, e.to)).collect();
        let plain: Vec<[f64; 2]> = sizes.iter().map(|s| s.0).collect();
        let placed = layout::place(&plain, &arrows);
        // A label may be wider than what is inside.
        let label = group.label.chars().count() as f64 * 8.0;
        let width = placed.width.max(label);
        // Types are written beside arrows, also left of the first and right of the last.
        let side = if g == 0 { PAGE } else { MARGIN };
        let left = side + (width - placed.width) / 2.0;
        let shift = |[x, y]: [f64; 2]| [x + left, y + MARGIN + BAND];
        sheets[g] = Some(Shown {
            group: g,
            corner: [0.0, 0.0],
            size: [width + 2.0 * side, placed.height + 2.0 * MARGIN + BAND],
            boxes: (placed.centres.iter().zip(&sizes))
                .map(|(centre, (size, unfolded))| Placed {
                    centre: shift(*centre),
                    size: *size,
                    unfolded: *unfolded,
                })
                .collect(),
            paths: (placed.paths.into_iter())
                .map(|path| path.into_iter().map(shift).collect())
                .collect(),
        });
    }
    // From the outside in, each into its box.
    for g in 1..groups.len() {
        let Some((parent, n)) = place[g] else {
            continue;
        };
        let at = sheets[parent]
            .as_ref()
            .and_then(|p| p.boxes.get(n))
            .copied();
        if let (Some(at), Some(sheet)) = (at, sheets[g].as_mut()) {
            let corner = [
                at.centre[0] - at.size[0] / 2.0,
                at.centre[1] - at.size[1] / 2.0,
            ];
            sheet.corner = corner;
            let points = sheet.paths.iter_mut().flatten();
            for point in sheet.boxes.iter_mut().map(|b| &mut b.centre).chain(points) {
                point[0] += corner[0];
                point[1] += corner[1];
            }
        }
    }
    sheets.into_iter().flatten().collect()
}

/// A length that can be drawn, also where a picture came from elsewhere.
fn sane(length: f64) -> f64 {
    if length.is_finite() {
        length.clamp(1.0, 1e5)
    } else {
        1.0
    }
}
