package dev.zeusd.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.sampling.GpuPowerSample;
import dev.zeusd.core.sampling.Subscription;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The README's example of embedding: it compiles, it runs, and it is what README shows. */
class EmbeddingExampleTest {
  private static final Path SOURCE =
      Path.of("src/test/java/dev/zeusd/core/EmbeddingExampleTest.java");
  private static final Path README = Path.of("../README.md");

  private static void example() throws InterruptedException {
    // tag::readme
    try (Node node = Node.open(NodeConfig.simulated());
        Subscription<GpuPowerSample> power = node.gpuPower().subscribe(List.of(0, 1))) {
      for (GpuPowerSample sample : power.poll(Duration.ofSeconds(1)))
        System.out.println("GPU " + sample.gpuId() + ": " + sample.powerMw() + " mW");
    }
    // end::readme
  }

  @Test
  void theExamplePrintsPower() throws Exception {
    PrintStream stdout = System.out;
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
    try {
      example();
    } finally {
      System.setOut(stdout);
    }
    List<String> lines = printed.toString(StandardCharsets.UTF_8).lines().toList();
    assertTrue(!lines.isEmpty(), "nothing printed");
    lines.forEach(line -> assertTrue(line.matches("GPU [01]: [1-9][0-9]{4,5} mW"), line));
  }

  @Test
  void readmeShowsTheExample() throws Exception {
    List<String> source = Files.readAllLines(SOURCE).stream().map(String::strip).toList();
    List<String> example =
        source.subList(source.indexOf("// tag::readme") + 1, source.indexOf("// end::readme"));
    assertEquals(5, example.size(), "lines: " + example);
    String readme =
        String.join("\n", Files.readAllLines(README).stream().map(String::strip).toList());
    assertTrue(
        readme.contains(String.join("\n", example)),
        () -> "README.md lacks the lines between the markers in " + SOURCE + ": " + example);
  }
}
