package dev.zeusd.ffm.nvml;

import dev.zeusd.ffm.nvml.raw.Nvml;
import dev.zeusd.ffm.nvml.raw.nvmlFieldValue_t;
import dev.zeusd.ffm.nvml.raw.nvmlValue_t;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The request for the power drawn at this moment ({@code NVML_FI_DEV_POWER_INSTANT}), or for
 * another field with a power, and its answer. For one thread at a time; allocates nothing after it
 * was made.
 */
final class PowerField {
  /** Above are only marks for "none": all bits of an unsigned int, and its last few values. */
  private static final long MAX_MW = 0xFFFF_FFEFL;

  /** The same mark of signed values. */
  private static final long ALL_BITS_BUT_THE_SIGN = 0x7FFF_FFFFL;

  /** What no driver writes: so a part of the answer that it left untouched is seen. */
  private static final int UNTOUCHED = 0x5EED5EED;

  private final MemorySegment request = nvmlFieldValue_t.allocate(Arena.ofAuto());
  private final MemorySegment value = nvmlFieldValue_t.value(request);

  /**
   * Asks; gives NVML's result, of the call or of the field, which may fail by itself.
   *
   * @param scope one of NVML's, such as {@code NVML_POWER_SCOPE_GPU}
   */
  int ask(NvmlCalls calls, MemorySegment device, int field, int scope) throws NvmlException {
    nvmlFieldValue_t.fieldId(request, field);
    nvmlFieldValue_t.scopeId(request, scope);
    nvmlFieldValue_t.nvmlReturn(request, UNTOUCHED);
    nvmlFieldValue_t.valueType(request, UNTOUCHED);
    nvmlValue_t.ullVal(value, -1);
    int result = calls.call(NvmlFunction.GET_FIELD_VALUES, device, 1, request);
    return result == Nvml.NVML_SUCCESS() ? nvmlFieldValue_t.nvmlReturn(request) : result;
  }

  /** The answer, in mW. */
  long powerMw() throws NvmlException {
    int type = nvmlFieldValue_t.valueType(request);
    long powerMw;
    if (type == Nvml.NVML_VALUE_TYPE_UNSIGNED_INT()) {
      powerMw = Integer.toUnsignedLong(nvmlValue_t.uiVal(value));
    } else if (type == Nvml.NVML_VALUE_TYPE_UNSIGNED_LONG()
        || type == Nvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG()
        || type == Nvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG()) {
      powerMw = nvmlValue_t.ullVal(value);
    } else if (type == Nvml.NVML_VALUE_TYPE_SIGNED_INT()) {
      powerMw = nvmlValue_t.siVal(value);
    } else if (type == Nvml.NVML_VALUE_TYPE_UNSIGNED_SHORT()) {
      int bits = Short.toUnsignedInt(nvmlValue_t.usVal(value));
      powerMw = bits == 0xFFFF ? -1 : bits;
    } else if (type == Nvml.NVML_VALUE_TYPE_DOUBLE()) {
      double mw = nvmlValue_t.dVal(value);
      powerMw = Double.isNaN(mw) || mw <= -0.5 ? -1 : Math.round(mw);
    } else {
      throw new NvmlException(
          NvmlFunction.GET_FIELD_VALUES, "a value of the unknown type " + describe(type));
    }
    return plausible(NvmlFunction.GET_FIELD_VALUES, powerMw);
  }

  private static String describe(int type) {
    return type == UNTOUCHED ? "that it left untouched" : Integer.toUnsignedString(type);
  }

  /** The same power, unless nothing can draw it. */
  static long plausible(NvmlFunction function, long powerMw) throws NvmlException {
    if (powerMw < 0 || powerMw > MAX_MW || powerMw == ALL_BITS_BUT_THE_SIGN) {
      throw new NvmlException(function, powerMw < 0 ? "a negative power or none" : powerMw + " mW");
    }
    return powerMw;
  }
}
