/** The wheels of each plugin set that were tested, by the SHA-256 that the package index gives for them. */

/** SHA-256 in hexadecimal by a wheel's file name, which tells project, version and platform. */
export type WheelPins = Readonly<Record<string, string>>;

/** By processor, as Node names it. */
export type PinsByProcessor = Readonly<Partial<Record<NodeJS.Architecture, WheelPins>>>;

export const xlaCpuWheels: PinsByProcessor = {
  x64: {
    "xla_cpu_pjrt-0.0.1-py3-none-manylinux_2_27_x86_64.whl":
      "55837b6b7b47daa717f2d9a5a03563ea0ceaa338d06a81a1e2d3f060d960decc",
  },
};

/** The wheels are for Python 3.12; of what lies in them only the libraries are used, which are the same in each. */
export const openVinoWheels: PinsByProcessor = {
  x64: {
    "openvino-2026.4.1-22982-cp312-cp312-manylinux_2_28_x86_64.whl":
      "6b4375c17ddcac83a5180349e2e2bb811185c261066e2a920659892d58ef0e3b",
  },
  arm64: {
    "openvino-2026.4.1-22982-cp312-cp312-manylinux_2_35_aarch64.whl":
      "82efccb2f9f1bdc7e5a1996e05a3b719ebff9232dd54b44150d6d2e983a86b7d",
  },
};

/** JAX's plugin and the libraries of CUDA 13 that it loads. */
export const xlaCuda13Wheels: PinsByProcessor = {
  x64: {
    "jax_cuda13_pjrt-0.12.0.1-py3-none-manylinux_2_27_x86_64.whl":
      "5899bb6177eda86ea532afb9a26794f2bdd04966f6a01f9028266b16c2b6cf90",
    "nvidia_cublas-13.10.0.20-py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl":
      "dcc6d63884c53d07e267ce7e6feac17b2538cebaafec5db865736c3e28e4dc84",
    "nvidia_cuda_cupti-13.5.25-py3-none-manylinux_2_25_x86_64.whl":
      "9dcca41c12a734192b14e7128ae116bc9ce1b9da686e2ebf48ae7a4415f76650",
    "nvidia_cuda_nvcc-13.5.37-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl":
      "f5c4f7ead5d964fb4af42bbf1e6d3ec3c1e6e9d83b53749f691d387e7fcaa3a7",
    "nvidia_cuda_runtime-13.5.37-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl":
      "df2b79a8852f10d1fef8c848489c49eebb5754051bf870202a862831412b179d",
    "nvidia_cudnn_cu13-9.28.1.4-py3-none-manylinux_2_27_x86_64.whl":
      "a54f205b1db1f2895d99f398754db1369816f0569dd459731f925635cf7b65ec",
    "nvidia_cufft-12.5.0.14-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl":
      "b8be26837a5abad2b5b74f3e92dd29f622a42934b355be0961a48712cbba23ad",
    "nvidia_cusolver-12.4.1.2-py3-none-manylinux_2_27_x86_64.whl":
      "b3b8e02fd2f2df869369af075dc3a179d43f6f7b85e94632a7dce556697be044",
    "nvidia_cusparse-12.9.4.2-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl":
      "072667e58c851a318738f5527a12eb225cbf058803f2ea451c722d8cf8edddec",
    "nvidia_nccl_cu13-2.32.3-py3-none-manylinux_2_27_x86_64.whl":
      "1459723080ac889d73a26edfa3e04383a7928ab31ac8f0ec43b3ea9548b04ff3",
    "nvidia_nvjitlink-13.5.37-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl":
      "280d7cb9649704145f074b8dbde500de04ce02d0872e066e20a83c17bcaa93eb",
    "nvidia_cuda_nvrtc-13.5.37-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl":
      "86b4d68058807988b7d9af5b44917a0601e9c337f35ccd657bfb3c759ff8d8bc",
    "nvidia_nvshmem_cu13-3.8.0-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl":
      "81a4d1f666543e6d34df6d2ff940c7da1435e34e186aab6f3c2b48861b64ef38",
    "nvidia_nvvm-13.5.37-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl":
      "c41bfa362e407405163f103c2229f0765f8cc2ed7d148b754dc77f228bf7e070",
    "nvidia_cuda_crt-13.5.37-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl":
      "e898b7f73d3035fa89915a3f7bf3b54a73e90249746111aed295822c4729bb29",
  },
  arm64: {
    "jax_cuda13_pjrt-0.12.0.1-py3-none-manylinux_2_27_aarch64.whl":
      "40758d042df8c06991b6a1a8016b56e9cefb1ed4c677c062125c3eb71c3dab97",
    "nvidia_cublas-13.10.0.20-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl":
      "c5f3418c0a845232a8cabc58f6fa52cfae7d8bd3680d94c3907aca710fd48d70",
    "nvidia_cuda_cupti-13.5.25-py3-none-manylinux_2_25_aarch64.whl":
      "d7e4d908315461b6ecbdadfd3c403cc796ed218b293ad117568c947e811cff28",
    "nvidia_cuda_nvcc-13.5.37-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl":
      "588eda18eb5076ae859fe272844b526459228af22df0b117f54eec3aa82bc9c8",
    "nvidia_cuda_runtime-13.5.37-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl":
      "de2dc5a7367974228b0a69588a9acc9340d3768bef1bf38bf0801eb08497cd2d",
    "nvidia_cudnn_cu13-9.28.1.4-py3-none-manylinux_2_27_aarch64.whl":
      "759b6a4919951ed8ec603dec97b96f6a6396c8269b95b3d345526e2471fb433d",
    "nvidia_cufft-12.5.0.14-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl":
      "091cde103312d6e09366122fe3f67092dcfd94cc9785029d695d6bcffaa76fdf",
    "nvidia_cusolver-12.4.1.2-py3-none-manylinux_2_27_aarch64.whl":
      "1f54c8e0d5b1ebd183b4c5a79f0709fa90241e8254da381ca5b969ee97c8de32",
    "nvidia_cusparse-12.9.4.2-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl":
      "e2ce97f185c9c4b285e4a8fbf02cb96dd1b8dd66736ebe2f0a8da5f6012a4fb7",
    "nvidia_nccl_cu13-2.32.3-py3-none-manylinux_2_27_aarch64.whl":
      "a5bee92b2f4af218c109f8d221c3c9adcc752b94ae0ffcb0ed5abf9341a7724c",
    "nvidia_nvjitlink-13.5.37-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl":
      "893f6f9a55b2720ed94913b5ba3332e972da8c78dfa2863d0244403dbd528ffc",
    "nvidia_cuda_nvrtc-13.5.37-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl":
      "36e4fa2a8ada293f5693d308e531c196ab6f91cf7a0ff479bf96a537d43a6096",
    "nvidia_nvshmem_cu13-3.8.0-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl":
      "8120175024f52a64323cfc5d645e95ac7345f1ee243a998d140ce19163285294",
    "nvidia_nvvm-13.5.37-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl":
      "b659bd3115b7ac7ec8931e67d0e2c0dd09cd35b08a6a7372df6f8f22c67da80a",
    "nvidia_cuda_crt-13.5.37-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl":
      "9ed2c565fdf3244fa6719769a80a466b85bfd4b1467ea339353bc91c971d09e0",
  },
};
