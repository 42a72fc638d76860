package dev.zeusd.server.auth;

import com.nimbusds.jose.JOSEException;
import dev.zeusd.bench.PieceBenchmark;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/** The check of a token, as every request with authentication needs it. */
@State(Scope.Thread)
public class TokensBenchmark extends PieceBenchmark {
  private Tokens tokens;
  private String token;

  /** Makes a key, and a token that ends some day. */
  @Setup
  public void issue() throws JOSEException {
    byte[] key = "0123456789abcdef0123456789abcdef".getBytes(StandardCharsets.US_ASCII);
    tokens = new Tokens(key, InstantSource.system());
    Instant end = Instant.now().plusSeconds(3600);
    token = tokens.issue(new Claims("bench", List.of("gpu-read"), Optional.of(end)));
  }

  /** A good token. */
  @Benchmark
  public Claims verify() throws InvalidTokenException {
    return tokens.verify(token);
  }
}
