// Exchange of values between threads of a workgroup through shared memory, where there are no subgroups
// or too small ones.
//
//   shared      given     the value of each thread
//   barriers    one when all have given, one when all have taken
var<workgroup> given: array<vec4<f32>, THREADS>;

// The value of thread ^ lane. All threads call it together.
fn exchange(thread: u32, lane: u32, value: vec4<f32>) -> vec4<f32> {
    given[thread] = value;
    workgroupBarrier();
    let taken = given[thread ^ lane];
    workgroupBarrier();
    return taken;
}

// The same for two values.
fn exchange_two(thread: u32, lane: u32, value: vec2<f32>) -> vec2<f32> {
    return exchange(thread, lane, vec4<f32>(value, 0.0, 0.0)).xy;
}

// The same for one value.
fn exchange_one(thread: u32, lane: u32, value: f32) -> f32 {
    return exchange(thread, lane, vec4<f32>(value, 0.0, 0.0, 0.0)).x;
}
