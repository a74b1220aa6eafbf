// A Vulkan layer that writes down what a driver makes of each compute pipeline.
//
// KERNEL_STATISTICS names a file. Its first line is `limit` and the bytes of shared memory that a
// workgroup may have; each pipeline adds a line of fields between tabs: its label, its number, and
// NAME=VALUE for the shared memory that the shader declares and for each statistic of the driver
// (VK_KHR_pipeline_executable_properties). KERNEL_ASSEMBLY names a folder, if any, for
// NUMBER.REPRESENTATION files. Labels come from VK_EXT_debug_utils. One device, one thread.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#define EXPORT __attribute__((visibility("default")))
#define EXTENSION "VK_KHR_pipeline_executable_properties"

static PFN_vkGetInstanceProcAddr next_of_instance;
static PFN_vkGetDeviceProcAddr next_of_device;
static VkInstance instance;
static FILE *out;

// The modules and pipelines made last, which are soon asked for.
#define KEPT 256
static struct { VkShaderModule module; unsigned bytes; } modules[KEPT];
static struct { VkPipeline pipeline; char *line; } pipelines[KEPT];
static unsigned module_count, pipeline_count;

// The link that the loader left for this layer in a chain of structures.
static VkLayerInstanceCreateInfo *instance_link(const void *chain) {
    VkLayerInstanceCreateInfo *link = (void *)chain;
    while (link && !(link->sType == VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO
                     && link->function == VK_LAYER_LINK_INFO))
        link = (void *)link->pNext;
    return link;
}

static VkLayerDeviceCreateInfo *device_link(const void *chain) {
    VkLayerDeviceCreateInfo *link = (void *)chain;
    while (link && !(link->sType == VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO
                     && link->function == VK_LAYER_LINK_INFO))
        link = (void *)link->pNext;
    return link;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_instance(
    const VkInstanceCreateInfo *info, const VkAllocationCallbacks *allocator, VkInstance *made) {
    VkLayerInstanceCreateInfo *link = instance_link(info->pNext);
    if (!link) return VK_ERROR_INITIALIZATION_FAILED;
    next_of_instance = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    PFN_vkCreateInstance create = (void *)next_of_instance(NULL, "vkCreateInstance");
    VkResult result = create(info, allocator, made);
    if (result == VK_SUCCESS) instance = *made;
    return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_device(
    VkPhysicalDevice physical, const VkDeviceCreateInfo *info,
    const VkAllocationCallbacks *allocator, VkDevice *made) {
    VkLayerDeviceCreateInfo *link = device_link(info->pNext);
    if (!link) return VK_ERROR_INITIALIZATION_FAILED;
    PFN_vkGetInstanceProcAddr of_instance = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    next_of_device = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;

    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR feature = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
        .pNext = (void *)info->pNext,
        .pipelineExecutableInfo = VK_TRUE,
    };
    VkDeviceCreateInfo more = *info;
    const char **names = calloc(info->enabledExtensionCount + 1, sizeof *names);
    for (uint32_t i = 0; i < info->enabledExtensionCount; i++)
        names[i] = info->ppEnabledExtensionNames[i];
    names[more.enabledExtensionCount++] = EXTENSION;
    more.ppEnabledExtensionNames = names;
    more.pNext = &feature;
    PFN_vkCreateDevice create = (void *)of_instance(instance, "vkCreateDevice");
    VkResult result = create(physical, &more, allocator, made);
    free(names);

    const char *path = getenv("KERNEL_STATISTICS");
    out = path ? fopen(path, "w") : NULL;
    if (!out) return VK_ERROR_INITIALIZATION_FAILED;
    PFN_vkGetPhysicalDeviceProperties properties =
        (void *)of_instance(instance, "vkGetPhysicalDeviceProperties");
    VkPhysicalDeviceProperties found;
    properties(physical, &found);
    fprintf(out, "limit\t%u\n", found.limits.maxComputeSharedMemorySize);
    return result;
}

// The bytes of all workgroup variables of a SPIR-V module. A component has at most 4 bytes of size
// and alignment, but vectors of three, which are aligned as those of four.
static unsigned shared_bytes(const uint32_t *words, size_t count) {
    uint32_t bound = words[3], total = 0;
    // The bytes of a type, of what a pointer points to, and the value of a constant.
    uint32_t *of = calloc(bound, sizeof *of);
    for (size_t at = 5; at < count && words[at] >> 16; at += words[at] >> 16) {
        const uint32_t *a = words + at;
        uint32_t length = a[0] >> 16;
        switch (a[0] & 0xffff) {
        case 20: of[a[1]] = 4; break;                                        // OpTypeBool
        case 21: case 22: of[a[1]] = a[2] / 8; break;                        // OpTypeInt, OpTypeFloat
        case 23: case 24: of[a[1]] = of[a[2]] * (a[3] == 3 ? 4 : a[3]); break; // OpTypeVector, Matrix
        case 28: of[a[1]] = of[a[2]] * of[a[3]]; break;                      // OpTypeArray
        case 30:                                                             // OpTypeStruct
            for (uint32_t i = 2; i < length; i++) of[a[1]] += of[a[i]];
            break;
        case 32: of[a[1]] = of[a[3]]; break;                                 // OpTypePointer
        case 43: of[a[2]] = a[3]; break;                                     // OpConstant
        case 59: if (a[3] == 4) total += of[a[1]]; break;                    // OpVariable Workgroup
        }
    }
    free(of);
    return total;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_module(
    VkDevice device, const VkShaderModuleCreateInfo *info,
    const VkAllocationCallbacks *allocator, VkShaderModule *made) {
    PFN_vkCreateShaderModule create = (void *)next_of_device(device, "vkCreateShaderModule");
    VkResult result = create(device, info, allocator, made);
    unsigned at = module_count++ % KEPT;
    modules[at].module = *made;
    modules[at].bytes = shared_bytes(info->pCode, info->codeSize / 4);
    return result;
}

static unsigned bytes_of(VkShaderModule module) {
    for (unsigned back = 1; back <= KEPT && back <= module_count; back++) {
        unsigned at = (module_count - back) % KEPT;
        if (modules[at].module == module) return modules[at].bytes;
    }
    return 0;
}

static void write_statistics(FILE *line, VkDevice device, const VkPipelineExecutableInfoKHR *of) {
    PFN_vkGetPipelineExecutableStatisticsKHR get =
        (void *)next_of_device(device, "vkGetPipelineExecutableStatisticsKHR");
    uint32_t count = 0;
    get(device, of, &count, NULL);
    VkPipelineExecutableStatisticKHR *all = calloc(count, sizeof *all);
    for (uint32_t i = 0; i < count; i++)
        all[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    get(device, of, &count, all);
    for (uint32_t i = 0; i < count; i++) {
        fprintf(line, "\t%s=", all[i].name);
        if (all[i].format == VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR)
            fprintf(line, "%g", all[i].value.f64);
        else
            fprintf(line, "%llu", (unsigned long long)all[i].value.u64);
    }
    free(all);
}

static void write_assembly(const char *folder, VkDevice device, const VkPipelineExecutableInfoKHR *of) {
    PFN_vkGetPipelineExecutableInternalRepresentationsKHR get =
        (void *)next_of_device(device, "vkGetPipelineExecutableInternalRepresentationsKHR");
    uint32_t count = 0;
    get(device, of, &count, NULL);
    VkPipelineExecutableInternalRepresentationKHR *all = calloc(count, sizeof *all);
    for (uint32_t i = 0; i < count; i++)
        all[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR;
    get(device, of, &count, all);
    for (uint32_t i = 0; i < count; i++) all[i].pData = calloc(1, all[i].dataSize + 1);
    get(device, of, &count, all);
    for (uint32_t i = 0; i < count; i++) {
        for (char *c = all[i].name; *c; c++)
            if (*c == ' ' || *c == '/') *c = '-';
        char *path;
        if (asprintf(&path, "%s/%u.%s", folder, pipeline_count, all[i].name) < 0) continue;
        FILE *file = fopen(path, "w");
        if (file) {
            fputs(all[i].pData, file);
            fclose(file);
        }
        free(path);
        free(all[i].pData);
    }
    free(all);
}

static VKAPI_ATTR VkResult VKAPI_CALL create_pipelines(
    VkDevice device, VkPipelineCache cache, uint32_t count, const VkComputePipelineCreateInfo *infos,
    const VkAllocationCallbacks *allocator, VkPipeline *made) {
    const char *folder = getenv("KERNEL_ASSEMBLY");
    VkPipelineCreateFlags wanted = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR;
    if (folder) wanted |= VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR;
    VkComputePipelineCreateInfo *more = calloc(count, sizeof *more);
    for (uint32_t i = 0; i < count; i++) {
        more[i] = infos[i];
        more[i].flags |= wanted;
    }
    PFN_vkCreateComputePipelines create = (void *)next_of_device(device, "vkCreateComputePipelines");
    VkResult result = create(device, cache, count, more, allocator, made);
    free(more);
    for (uint32_t i = 0; result == VK_SUCCESS && i < count; i++) {
        unsigned at = pipeline_count % KEPT;
        size_t length;
        free(pipelines[at].line);
        pipelines[at].pipeline = made[i];
        FILE *line = open_memstream(&pipelines[at].line, &length);
        fprintf(line, "%u\tshared=%u", pipeline_count, bytes_of(infos[i].stage.module));
        VkPipelineExecutableInfoKHR of = {
            .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = made[i]};
        write_statistics(line, device, &of);
        fclose(line);
        if (folder) write_assembly(folder, device, &of);
        pipeline_count++;
    }
    return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL set_name(
    VkDevice device, const VkDebugUtilsObjectNameInfoEXT *info) {
    for (unsigned back = 1; back <= KEPT && back <= pipeline_count; back++) {
        unsigned at = (pipeline_count - back) % KEPT;
        if (info->objectType == VK_OBJECT_TYPE_PIPELINE
            && (uint64_t)pipelines[at].pipeline == info->objectHandle) {
            fprintf(out, "%s\t%s\n", info->pObjectName, pipelines[at].line);
            fflush(out);
            break;
        }
    }
    PFN_vkSetDebugUtilsObjectNameEXT next =
        (void *)next_of_device(device, "vkSetDebugUtilsObjectNameEXT");
    return next ? next(device, info) : VK_SUCCESS;
}

static PFN_vkVoidFunction own(const char *name) {
    static const struct { const char *name; void *function; } all[] = {
        {"vkCreateInstance", create_instance},
        {"vkCreateDevice", create_device},
        {"vkCreateShaderModule", create_module},
        {"vkCreateComputePipelines", create_pipelines},
        {"vkSetDebugUtilsObjectNameEXT", set_name},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i].name, name)) return (PFN_vkVoidFunction)all[i].function;
    return NULL;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL of_device(VkDevice device, const char *name) {
    if (!strcmp(name, "vkGetDeviceProcAddr")) return (PFN_vkVoidFunction)of_device;
    PFN_vkVoidFunction found = own(name);
    return found ? found : next_of_device(device, name);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL of_instance(VkInstance of, const char *name) {
    if (!strcmp(name, "vkGetInstanceProcAddr")) return (PFN_vkVoidFunction)of_instance;
    if (!strcmp(name, "vkGetDeviceProcAddr")) return (PFN_vkVoidFunction)of_device;
    PFN_vkVoidFunction found = own(name);
    return found ? found : next_of_instance(of, name);
}

EXPORT VKAPI_ATTR VkResult VKAPI_CALL vkNegotiateLoaderLayerInterfaceVersion(
    VkNegotiateLayerInterface *interface) {
    interface->pfnGetInstanceProcAddr = of_instance;
    interface->pfnGetDeviceProcAddr = of_device;
    interface->pfnGetPhysicalDeviceProcAddr = NULL;
    if (interface->loaderLayerInterfaceVersion > 2) interface->loaderLayerInterfaceVersion = 2;
    return VK_SUCCESS;
}
