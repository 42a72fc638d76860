package dev.zeusd.client;

import jakarta.json.JsonArray;
import jakarta.json.JsonNumber;
import jakarta.json.JsonObject;
import java.util.ArrayList;
import java.util.List;

/**
 * What a power was for some time.
 *
 * @param beginMs when the step begins, in ms since 1970
 * @param meanMw the mean of the readings in it, in mW
 * @param minMw the lowest
 * @param maxMw the highest
 */
public record PowerStep(long beginMs, long meanMw, long minMw, long maxMw) {
  /** Those in which there were readings. */
  static List<PowerStep> list(long fromMs, long stepMs, JsonObject json) {
    JsonArray mean = json.getJsonArray("mean");
    JsonArray min = json.getJsonArray("min");
    JsonArray max = json.getJsonArray("max");
    List<PowerStep> steps = new ArrayList<>();
    for (int i = 0; i < mean.size(); i++) {
      if (mean.get(i) instanceof JsonNumber meanMw) {
        long beginMs = fromMs + i * stepMs;
        steps.add(
            new PowerStep(
                beginMs,
                meanMw.longValue(),
                min.getJsonNumber(i).longValue(),
                max.getJsonNumber(i).longValue()));
      }
    }
    return List.copyOf(steps);
  }
}
