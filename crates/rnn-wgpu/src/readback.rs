use crate::device::Gpu;
use crate::faults::Fault;
use futures_intrusive::channel::shared::{OneshotReceiver, oneshot_channel};
use half::f16;
use rnn_core::{DType, Data, HostTensor};
use rnn_graph::{DeviceError, TensorType};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Instant;

/// A range of bytes in a buffer.
pub(crate) struct BufferRange {
    /// The buffer.
    pub buffer: wgpu::Buffer,
    /// Index of the first byte.
    pub offset: u64,
    /// Number of bytes.
    pub bytes: u64,
}

impl BufferRange {
    /// Returns the range of `len` four-byte words of `buffer` from word `offset` on. The caller
    /// must make sure that it lies within the buffer.
    pub fn new(buffer: wgpu::Buffer, offset: usize, len: usize) -> Self {
        Self { buffer, offset: 4 * offset as u64, bytes: 4 * len as u64 }
    }
}

/// A copy of device memory in flight to the host.
pub(crate) struct Readback {
    staging: wgpu::Buffer,
    bytes: u64,
    submission: wgpu::SubmissionIndex,
    arrival: OneshotReceiver<Result<(), wgpu::BufferAsyncError>>,
    arrived: bool,
}

impl Readback {
    /// Queues a copy of the ranges, one after the other, to the host. It does not wait for the
    /// copy.
    ///
    /// # Errors
    /// Fails with [`DeviceError::OutOfMemory`] if there is no memory for the copy, and with the
    /// device's fault if there is one.
    pub fn start(gpu: &Gpu, parts: &[&BufferRange]) -> Result<Self, DeviceError> {
        let bytes = parts.iter().map(|p| p.bytes).sum();
        let staging = Self::staging(gpu, bytes)?;
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let mut at = 0;
        for part in parts.iter().filter(|p| p.bytes > 0) {
            encoder.copy_buffer_to_buffer(&part.buffer, part.offset, &staging, at, part.bytes);
            at += part.bytes;
        }
        Self::submit(gpu, encoder, staging, bytes)
    }

    /// Creates a buffer of at least `bytes` bytes that the host can read.
    ///
    /// # Errors
    /// Fails with [`DeviceError::OutOfMemory`] if there is no memory for it, and with the device's
    /// fault if there is one.
    pub fn staging(gpu: &Gpu, bytes: u64) -> Result<wgpu::Buffer, DeviceError> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        gpu.guarded(|| gpu.buffer("a copy for the host", bytes, usage))
    }

    /// Submits the commands in `encoder`, which fill the first `bytes` bytes of `staging`, and
    /// requests that `staging` be mapped for the host.
    ///
    /// # Errors
    /// Fails with the device's fault if there is one.
    pub fn submit(
        gpu: &Gpu,
        encoder: wgpu::CommandEncoder,
        staging: wgpu::Buffer,
        bytes: u64,
    ) -> Result<Self, DeviceError> {
        let submission = gpu.submit(encoder)?;
        let (sender, arrival) = oneshot_channel();
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            // The receiver may be gone; then nobody needs the bytes.
            let _ = sender.send(result);
        });
        Ok(Self { staging, bytes, submission, arrival, arrived: false })
    }

    /// Completes when the bytes are here. Each poll of this future lets wgpu run its callbacks and
    /// asks to be polled again, since no thread does that; in a browser the event loop does.
    async fn arrive(&mut self, gpu: &Gpu) -> Result<(), DeviceError> {
        if self.arrived {
            return Ok(());
        }
        let mut arrival = pin!(self.arrival.receive());
        let received = poll_fn(|context| {
            if let Err(error) = gpu.poll() {
                return Poll::Ready(Err(error));
            }
            let received = arrival.as_mut().poll(context);
            if received.is_pending() && cfg!(not(target_family = "wasm")) {
                context.waker().wake_by_ref();
            }
            received.map(Ok)
        });
        match received.await? {
            Some(Ok(())) => self.arrived = true,
            Some(Err(error)) => return Err(refused(gpu, error)),
            None => return Err(refused(gpu, "a copy was dropped")),
        }
        Ok(())
    }

    /// Returns true if the bytes have arrived. It does not block.
    ///
    /// # Errors
    /// Fails with the device's fault if there is one, and with [`DeviceError::Refused`] if the
    /// buffer cannot be mapped.
    pub fn arrived(&mut self, gpu: &Gpu) -> Result<bool, DeviceError> {
        match pin!(self.arrive(gpu)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(arrived) => arrived.map(|()| true),
            Poll::Pending => Ok(false),
        }
    }

    /// Passes the bytes to `read` once they have arrived, and returns its result.
    ///
    /// # Errors
    /// Fails as [`Self::arrived`] does.
    pub async fn read<T>(
        mut self,
        gpu: &Gpu,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, DeviceError> {
        self.arrive(gpu).await?;
        let view = self.staging.get_mapped_range(..).map_err(|error| refused(gpu, error))?;
        Ok(read(&view[..self.bytes as usize]))
    }

    /// Blocks until the bytes have arrived, passes them to `read` and returns its result.
    ///
    /// # Errors
    /// Fails as [`Self::arrived`] does, and with [`DeviceError::Timeout`] if the submission does
    /// not finish within the device's patience.
    pub fn finish<T>(mut self, gpu: &Gpu, read: impl FnOnce(&[u8]) -> T) -> Result<T, DeviceError> {
        if !self.arrived {
            gpu.wait(self.submission.clone())?;
            // A poll on another thread may have taken the callback, which it is about to call.
            let waiting = Instant::now();
            while !self.arrived(gpu)? {
                if waiting.elapsed() > gpu.patience {
                    return Err(refused(gpu, "a copy did not arrive with its submission"));
                }
                thread::yield_now();
            }
        }
        pollster::block_on(self.read(gpu, read))
    }
}

/// The device's fault, if there is one that explains this.
fn refused(gpu: &Gpu, message: impl ToString) -> DeviceError {
    gpu.explain(Fault::Refused(message.to_string()))
}

/// Converts bytes of a device to a host tensor. Half precision is widened to f32.
///
/// # Errors
/// Fails with [`DeviceError::Tensor`] if the bytes are not as many as a tensor of this type has.
pub(crate) fn tensor(ty: &TensorType, bytes: &[u8]) -> Result<HostTensor, DeviceError> {
    let data = match ty.dtype {
        DType::F32 => Data::F32(bytemuck::pod_collect_to_vec(bytes)),
        DType::F16 => {
            let halves =
                bytes.chunks_exact(2).take(ty.len()).map(|b| f16::from_le_bytes([b[0], b[1]]));
            Data::F32(halves.map(f16::to_f32).collect())
        }
        DType::U32 => Data::U32(bytemuck::pod_collect_to_vec(bytes)),
    };
    Ok(HostTensor::new(ty.shape.clone(), data)?)
}
