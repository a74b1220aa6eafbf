//! The transforms of F(2 x 2, 3 x 3), of vectors of channels and of whole kernels, by the matrices
//! of Lavin and Gray (arXiv:1509.09308, equation 7):
//!
//! ```text
//!        1  0 -1  0           1   0    0
//! B^T =  0  1  1  0    G  =  1/2 1/2  1/2    A^T =  1  1  1  0
//!        0 -1  1  0          1/2 -1/2 1/2           0  1 -1 -1
//!        0  1  0 -1           0   0    1
//! ```

use pulp::Simd;

/// Returns the transform B^T d B of an input tile `d[row][column]` of 4 x 4 pixels. Each vector
/// holds channels of one pixel.
#[inline(always)]
pub fn input<S: Simd>(s: S, d: [[S::f32s; 4]; 4]) -> [[S::f32s; 4]; 4] {
    let mut rows = d;
    for row in &mut rows {
        *row = input_line(s, *row);
    }
    let mut out = rows;
    for j in 0..4 {
        let line = input_line(s, [rows[0][j], rows[1][j], rows[2][j], rows[3][j]]);
        for i in 0..4 {
            out[i][j] = line[i];
        }
    }
    out
}

#[inline(always)]
fn input_line<S: Simd>(s: S, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; 4] {
    [s.sub_f32s(a, c), s.add_f32s(b, c), s.sub_f32s(c, b), s.sub_f32s(b, d)]
}

/// Returns the output tile A^T m A of 2 x 2 pixels. m is the sum over the channels of the products
/// of the transformed input tile and kernel. Each vector holds filters.
#[inline(always)]
pub fn output<S: Simd>(s: S, m: [[S::f32s; 4]; 4]) -> [[S::f32s; 2]; 2] {
    let mut columns = [m[0], m[1]];
    for j in 0..4 {
        let [a, b] = output_line(s, [m[0][j], m[1][j], m[2][j], m[3][j]]);
        columns[0][j] = a;
        columns[1][j] = b;
    }
    [output_line(s, columns[0]), output_line(s, columns[1])]
}

#[inline(always)]
fn output_line<S: Simd>(s: S, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; 2] {
    let (sum, difference) = (s.add_f32s(b, c), s.sub_f32s(b, c));
    [s.add_f32s(a, sum), s.sub_f32s(difference, d)]
}

/// Returns the transform A dy A^T of the gradient dy of an output tile of 2 x 2 pixels. Each vector
/// holds filters of one pixel.
#[inline(always)]
pub fn output_gradient<S: Simd>(s: S, dy: [[S::f32s; 2]; 2]) -> [[S::f32s; 4]; 4] {
    let (top, bottom) = (output_gradient_line(s, dy[0]), output_gradient_line(s, dy[1]));
    let mut out = [top; 4];
    for j in 0..4 {
        let line = output_gradient_line(s, [top[j], bottom[j]]);
        for i in 0..4 {
            out[i][j] = line[i];
        }
    }
    out
}

#[inline(always)]
fn output_gradient_line<S: Simd>(s: S, [a, b]: [S::f32s; 2]) -> [S::f32s; 4] {
    [a, s.add_f32s(a, b), s.sub_f32s(a, b), s.sub_f32s(s.splat_f32s(0.0), b)]
}

/// Returns the transform G g G^T, `[4, 4, ..]`, of a kernel g, `[3, 3, ..]`, for each channel and
/// filter.
pub fn kernel(taps: &[f32]) -> Vec<f32> {
    let each = taps.len() / 9;
    let tap = |i: usize| &taps[i * each..(i + 1) * each];
    let rows = [0, 3, 6].map(|row| kernel_line([tap(row), tap(row + 1), tap(row + 2)]).concat());
    kernel_line([&rows[0], &rows[1], &rows[2]]).concat()
}

fn kernel_line([a, b, c]: [&[f32]; 3]) -> [Vec<f32>; 4] {
    let half = |sign: f32| {
        let each = a.iter().zip(b).zip(c);
        each.map(|((a, b), c)| 0.5 * (a + sign * b + c)).collect()
    };
    [a.to_vec(), half(1.0), half(-1.0), c.to_vec()]
}

/// Returns the gradient G^T dg G, `[3, 3, ..]`, of a kernel from the gradient dg, `[4, 4, ..]`, of
/// its transform.
pub fn kernel_gradient(places: &[f32]) -> Vec<f32> {
    let row = places.len() / 4;
    let lines: Vec<&[f32]> = places.chunks_exact(row.max(1)).collect();
    let &[a, b, c, d] = lines.as_slice() else { return vec![] };
    let rows = kernel_gradient_line([a, b, c, d]);
    let taps = rows.each_ref().map(|row| {
        let each = row.len() / 4;
        let place = |j: usize| &row[j * each..(j + 1) * each];
        kernel_gradient_line([place(0), place(1), place(2), place(3)]).concat()
    });
    taps.concat()
}

fn kernel_gradient_line([a, b, c, d]: [&[f32]; 4]) -> [Vec<f32>; 3] {
    let middle = || b.iter().zip(c);
    [
        a.iter().zip(middle()).map(|(a, (b, c))| a + 0.5 * (b + c)).collect(),
        middle().map(|(b, c)| 0.5 * (b - c)).collect(),
        middle().zip(d).map(|((b, c), d)| 0.5 * (b + c) + d).collect(),
    ]
}
