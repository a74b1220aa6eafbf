//! The only unsafe code of the crate.
#![allow(unsafe_code, reason = "wgpu marks modules without injected checks as unsafe")]

/// Compiles a kernel without the bounds checks, loop guards and division guards that naga would
/// inject into it.
pub(crate) fn shader_module(
    device: &wgpu::Device,
    descriptor: wgpu::ShaderModuleDescriptor<'_>,
) -> wgpu::ShaderModule {
    let checks = wgpu::ShaderRuntimeChecks::unchecked();
    // SAFETY: the source is a `&'static Shader` of this program, never a user's text; reflection
    // has validated it with naga. That its indices stay within its bindings, its loops end and its
    // divisors are not zero is what the checked mode (`Options::checked`) and the comparison of
    // every kernel with its reference test.
    unsafe { device.create_shader_module_trusted(descriptor, checks) }
}
