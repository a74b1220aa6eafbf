// Index arithmetic of sliding windows over three axes (D, H, W) of a batch of items; the Rust side
// is crates/rnn-ops/src/conv/windows.rs. No memory, no barriers.
//
// A source is a pixel under the windows, a target a window, or its pixel of the result. Tap j of
// target p sees source p STRIDE + j DILATION - BEFORE.
override SIZE_D: u32 = 1u;
override SIZE_H: u32 = 1u;
override SIZE_W: u32 = 1u;
override STRIDE_D: u32 = 1u;
override STRIDE_H: u32 = 1u;
override STRIDE_W: u32 = 1u;
override DILATION_D: u32 = 1u;
override DILATION_H: u32 = 1u;
override DILATION_W: u32 = 1u;
override BEFORE_D: u32 = 0u;
override BEFORE_H: u32 = 0u;
override BEFORE_W: u32 = 0u;
override SOURCE_D: u32 = 1u;
override SOURCE_H: u32 = 1u;
override SOURCE_W: u32 = 1u;
override TARGET_D: u32 = 1u;
override TARGET_H: u32 = 1u;
override TARGET_W: u32 = 1u;
// The D axis precedes the batch axis: [D, N, H, W, C] instead of [N, D, H, W, C].
override LEADING: bool = false;

const NO_PIXEL = 0xffffffffu;

// An item and a position (d, h, w) in it.
struct Place { item: u32, at: vec3<i32> }

fn source_extents() -> vec3<u32> { return vec3<u32>(SOURCE_D, SOURCE_H, SOURCE_W); }
fn target_extents() -> vec3<u32> { return vec3<u32>(TARGET_D, TARGET_H, TARGET_W); }

// Item and position of a pixel index.
fn place_of(pixel: u32, items: u32, extents: vec3<u32>) -> Place {
    let w = pixel % extents.z;
    let h = pixel / extents.z % extents.y;
    let slice = pixel / (extents.z * extents.y);
    if LEADING {
        return Place(slice % items, vec3<i32>(vec3<u32>(slice / items, h, w)));
    }
    return Place(slice / extents.x, vec3<i32>(vec3<u32>(slice % extents.x, h, w)));
}

// Pixel index of a position, or NO_PIXEL if it lies outside of the extents.
fn pixel_at(item: u32, items: u32, at: vec3<i32>, extents: vec3<u32>) -> u32 {
    if any(at < vec3<i32>(0)) || any(at >= vec3<i32>(extents)) {
        return NO_PIXEL;
    }
    let place = vec3<u32>(at);
    let slice = select(item * extents.x + place.x, place.x * items + item, LEADING);
    return (slice * extents.y + place.y) * extents.z + place.z;
}

// Offset of a tap from the window's origin.
fn reach(tap: u32) -> vec3<i32> {
    let at = vec3<u32>(tap / (SIZE_H * SIZE_W), tap / SIZE_W % SIZE_H, tap % SIZE_W);
    return vec3<i32>(at * vec3<u32>(DILATION_D, DILATION_H, DILATION_W));
}

fn strides() -> vec3<i32> {
    return vec3<i32>(vec3<u32>(STRIDE_D, STRIDE_H, STRIDE_W));
}

fn before() -> vec3<i32> {
    return vec3<i32>(vec3<u32>(BEFORE_D, BEFORE_H, BEFORE_W));
}

// Origin of a target's window.
fn window_start(place: vec3<i32>) -> vec3<i32> {
    return place * strides() - before();
}

// The source that a tap sees, for a window with origin `start`; NO_PIXEL in the padding.
fn source_seen(start: Place, tap: u32, items: u32) -> u32 {
    return pixel_at(start.item, items, start.at + reach(tap), source_extents());
}

// Number of sources that the window with origin `at` sees. Along an axis these are the taps k with
// 0 <= at + k dilation < extent.
fn sources_seen(at: vec3<i32>) -> u32 {
    let extents = vec3<i32>(source_extents());
    let dilation = vec3<i32>(vec3<u32>(DILATION_D, DILATION_H, DILATION_W));
    let sizes = vec3<i32>(vec3<u32>(SIZE_D, SIZE_H, SIZE_W));
    let first = (max(-at, vec3<i32>(0)) + dilation - 1) / dilation;
    let end = min((max(extents - at, vec3<i32>(0)) + dilation - 1) / dilation, sizes);
    let count = vec3<u32>(max(end - first, vec3<i32>(0)));
    return count.x * count.y * count.z;
}

// The target whose window sees a source through a tap; NO_PIXEL if there is none.
fn target_seeing(source: Place, tap: u32, items: u32) -> u32 {
    let start = source.at + before() - reach(tap);
    let at = start / strides();
    if any(start < vec3<i32>(0)) || any(at * strides() != start) {
        return NO_PIXEL;
    }
    return pixel_at(source.item, items, at, target_extents());
}
