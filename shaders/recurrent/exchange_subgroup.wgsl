// Exchange of values between threads of a subgroup, by shuffles. It needs a device that has shown that
// thread i of a workgroup is lane i % size of a subgroup (subgroup_probe.wgsl).

// The value of thread ^ lane. All threads call it together.
fn exchange(thread: u32, lane: u32, value: vec4<f32>) -> vec4<f32> {
    return subgroupShuffleXor(value, lane);
}

// The same for two values.
fn exchange_two(thread: u32, lane: u32, value: vec2<f32>) -> vec2<f32> {
    return subgroupShuffleXor(value, lane);
}

// The same for one value.
fn exchange_one(thread: u32, lane: u32, value: f32) -> f32 {
    return subgroupShuffleXor(value, lane);
}
