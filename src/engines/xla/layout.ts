/**
 * The PJRT C API in bytes (openxla/xla, xla/pjrt/c/pjrt_c_api.h of API version 0.114, 64-bit little-endian):
 * where the functions stand in the table and where the fields stand in their arguments. Older tables are
 * prefixes of this one and older structs are prefixes of these, so one layout serves every plugin.
 */

/** A field: its offset, and `u64` for pointers, sizes and int64, `i32` for enums and ints, `u8` for bools. */
type Field = readonly [offset: number, kind: "u64" | "i32" | "u8"];

export interface Layout {
  /** Place in the table of functions. */
  readonly slot: number;
  /** What goes into `struct_size`: the end of the last field. */
  readonly size: number;
  readonly fields: Readonly<Record<string, Field>>;
}

const u64 = (offset: number): Field => [offset, "u64"];
const i32 = (offset: number): Field => [offset, "i32"];
const u8 = (offset: number): Field => [offset, "u8"];

/** PJRT_Api: version at 32 and 36, functions from 40. */
export const api = { size: 0, extension: 8, major: 32, minor: 36, functions: 40 } as const;

/** The newest API version whose structs are known here; newer plugins get zeroed spare bytes. */
export const KNOWN_MINOR = 114;
export const SPARE_BYTES = 64;

/** Functions by their names without `PJRT_`, with the arguments that this package sets or reads. */
export const functions = {
  Error_Destroy: { slot: 0, size: 24, fields: { error: u64(16) } },
  Error_Message: { slot: 1, size: 40, fields: { error: u64(16), message: u64(24), message_size: u64(32) } },
  Error_GetCode: { slot: 2, size: 28, fields: { error: u64(16), code: i32(24) } },
  Plugin_Initialize: { slot: 3, size: 16, fields: {} },
  Plugin_Attributes: { slot: 4, size: 32, fields: { attributes: u64(16), num_attributes: u64(24) } },
  Event_Destroy: { slot: 5, size: 24, fields: { event: u64(16) } },
  Event_IsReady: { slot: 6, size: 25, fields: { event: u64(16), is_ready: u8(24) } },
  Event_Error: { slot: 7, size: 24, fields: { event: u64(16) } },
  Event_Await: { slot: 8, size: 24, fields: { event: u64(16) } },
  Client_Create: {
    slot: 10,
    size: 88,
    fields: {
      create_options: u64(16),
      num_options: u64(24),
      kv_get_callback: u64(32),
      kv_get_user_arg: u64(40),
      kv_put_callback: u64(48),
      kv_put_user_arg: u64(56),
      client: u64(64),
      kv_try_get_callback: u64(72),
      kv_try_get_user_arg: u64(80),
    },
  },
  Client_Destroy: { slot: 11, size: 24, fields: { client: u64(16) } },
  Client_PlatformName: { slot: 12, size: 40, fields: { client: u64(16), text: u64(24), text_size: u64(32) } },
  Client_ProcessIndex: { slot: 13, size: 28, fields: { client: u64(16), process_index: i32(24) } },
  Client_PlatformVersion: {
    slot: 14,
    size: 40,
    fields: { client: u64(16), text: u64(24), text_size: u64(32) },
  },
  Client_Devices: { slot: 15, size: 40, fields: { client: u64(16), devices: u64(24), num_devices: u64(32) } },
  Client_AddressableDevices: {
    slot: 16,
    size: 40,
    fields: { client: u64(16), devices: u64(24), num_devices: u64(32) },
  },
  Client_Compile: {
    slot: 20,
    size: 56,
    fields: {
      client: u64(16),
      program: u64(24),
      compile_options: u64(32),
      compile_options_size: u64(40),
      executable: u64(48),
    },
  },
  Client_BufferFromHostBuffer: {
    slot: 22,
    size: 120,
    fields: {
      client: u64(16),
      data: u64(24),
      type: i32(32),
      dims: u64(40),
      num_dims: u64(48),
      host_buffer_semantics: i32(72),
      device: u64(80),
      done_with_host_buffer: u64(104),
      buffer: u64(112),
    },
  },
  DeviceDescription_Id: { slot: 23, size: 28, fields: { device_description: u64(16), id: i32(24) } },
  DeviceDescription_Attributes: {
    slot: 25,
    size: 40,
    fields: { device_description: u64(16), num_attributes: u64(24), attributes: u64(32) },
  },
  DeviceDescription_Kind: {
    slot: 26,
    size: 40,
    fields: { device_description: u64(16), text: u64(24), text_size: u64(32) },
  },
  Device_GetDescription: { slot: 29, size: 32, fields: { device: u64(16), device_description: u64(24) } },
  Device_MemoryStats: {
    slot: 34,
    size: 201,
    fields: {
      device: u64(16),
      bytes_in_use: u64(24),
      peak_bytes_in_use: u64(32),
      peak_bytes_in_use_is_set: u8(40),
      bytes_limit: u64(80),
      bytes_limit_is_set: u8(88),
    },
  },
  Executable_Destroy: { slot: 40, size: 24, fields: { executable: u64(16) } },
  Executable_NumOutputs: { slot: 44, size: 32, fields: { executable: u64(16), num_outputs: u64(24) } },
  Executable_Serialize: {
    slot: 49,
    size: 56,
    fields: {
      executable: u64(16),
      serialized_bytes: u64(24),
      serialized_bytes_size: u64(32),
      serialized_executable: u64(40),
      serialized_executable_deleter: u64(48),
    },
  },
  LoadedExecutable_Destroy: { slot: 50, size: 24, fields: { executable: u64(16) } },
  LoadedExecutable_GetExecutable: {
    slot: 51,
    size: 32,
    fields: { loaded_executable: u64(16), executable: u64(24) },
  },
  LoadedExecutable_AddressableDevices: {
    slot: 52,
    size: 40,
    fields: { executable: u64(16), devices: u64(24), num_devices: u64(32) },
  },
  LoadedExecutable_Execute: {
    slot: 55,
    size: 80,
    fields: {
      executable: u64(16),
      options: u64(24),
      argument_lists: u64(32),
      num_devices: u64(40),
      num_args: u64(48),
      output_lists: u64(56),
      device_complete_events: u64(64),
    },
  },
  Executable_DeserializeAndLoad: {
    slot: 56,
    size: 72,
    fields: {
      client: u64(16),
      serialized_executable: u64(24),
      serialized_executable_size: u64(32),
      loaded_executable: u64(40),
    },
  },
  Buffer_Destroy: { slot: 58, size: 24, fields: { buffer: u64(16) } },
  Buffer_ToHostBuffer: {
    slot: 70,
    size: 56,
    fields: { src: u64(16), host_layout: u64(24), dst: u64(32), dst_size: u64(40), event: u64(48) },
  },
  Executable_GetCompiledMemoryStats: {
    slot: 96,
    size: 144,
    fields: {
      executable: u64(16),
      argument_size_in_bytes: u64(32),
      output_size_in_bytes: u64(40),
      alias_size_in_bytes: u64(48),
      temp_size_in_bytes: u64(56),
    },
  },
} as const satisfies Record<string, Layout>;

export type FunctionName = keyof typeof functions;
export type FieldOf<N extends FunctionName> = keyof (typeof functions)[N]["fields"] & string;

/** PJRT_Program */
export const program = { size: 48, code: 16, codeSize: 24, format: 32, formatSize: 40 } as const;

/** PJRT_ExecuteOptions; everything but the size may stay zero. */
export const executeOptions = { size: 144, launchId: 48 } as const;

/** PJRT_Buffer_MemoryLayout of type Tiled, without tiles: the order of axes, fastest first. */
export const memoryLayout = {
  size: 76,
  tiledSize: 16,
  minorToMajor: 32,
  minorToMajorSize: 40,
  type: 72,
} as const;
export const TILED_STRUCT_BYTES = 56;

/** PJRT_NamedValue */
export const namedValue = {
  size: 56,
  name: 16,
  nameSize: 24,
  type: 32,
  value: 40,
  valueSize: 48,
  types: { string: 0, int64: 1, int64List: 2, float: 3, bool: 4 },
} as const;

/** Arguments of the callbacks with which a client of several processes reads and writes the shared store. */
export const keyValueGet = {
  key: 16,
  keySize: 24,
  timeoutMs: 32,
  error: 40,
  value: 56,
  valueSize: 64,
  free: 72,
} as const;
export const keyValueTryGet = {
  key: 16,
  keySize: 24,
  error: 32,
  value: 48,
  valueSize: 56,
  free: 64,
} as const;
export const keyValuePut = { key: 16, keySize: 24, value: 32, valueSize: 40, error: 48 } as const;

/** PJRT_Buffer_Type */
export const bufferType = { bool: 1, i32: 4, i64: 5, u8: 6, f16: 10, f32: 11, bf16: 13 } as const;

/** PJRT_HostBufferSemantics: how long the plugin may read the host's memory. */
export const hostBuffer = { onlyDuringCall: 0, untilTransferCompletes: 1 } as const;

/** PJRT_Error_Code, as in absl. */
export const errorCodes: Readonly<Record<number, string>> = {
  1: "cancelled",
  2: "unknown",
  3: "invalid argument",
  4: "deadline exceeded",
  5: "not found",
  6: "already exists",
  7: "permission denied",
  8: "out of memory",
  9: "failed precondition",
  10: "aborted",
  11: "out of range",
  12: "unimplemented",
  13: "internal",
  14: "unavailable",
  15: "data loss",
  16: "unauthenticated",
};
export const INVALID_ARGUMENT = 3;
export const OUT_OF_MEMORY = 8;
export const NOT_FOUND = 5;
export const UNIMPLEMENTED = 12;
