/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.bridge;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** The boundary with the real library: misuse of every kind is an exception, and the next call works. */
class NativeBoundaryTest {

    private static final long UNKNOWN = 1L << 40;
    private static BlackHole nowhere;

    @BeforeAll
    static void load() throws IOException {
        Library.load();
        nowhere = new BlackHole();
    }

    @AfterAll
    static void close() throws IOException {
        if (nowhere != null) {
            nowhere.close();
        }
    }

    @Test
    void jarAndLibraryBelongTogether() {
        assertEquals(Native.ABI_VERSION, Native.abiVersion());
        NativeLibrary.load();
        Native.init(new String[0]);
    }

    @Test
    void aPanicIsAnExceptionWithItsText() {
        final NativeException panic = assertThrows(
                NativeException.class, () -> Native.control(0, new String[] {"panic", "out of cheese \u2603"}));
        assertEquals(ErrorCode.PANIC, panic.errorCode());
        assertTrue(panic.getMessage().contains("out of cheese \u2603"), panic.getMessage());

        final NativeException task =
                assertThrows(NativeException.class, () -> Native.control(0, new String[] {"panic-task", "in a task"}));
        assertEquals(ErrorCode.PANIC, task.errorCode());
        assertEquals(Native.ABI_VERSION, Native.abiVersion());
    }

    @Test
    void aPanicInAnyMethodIsAnException() {
        final Map<String, Executable> methods = Map.ofEntries(
                Map.entry("abiVersion", Native::abiVersion),
                Map.entry("init", () -> Native.init(new String[0])),
                Map.entry("drainLogs", () -> Native.drainLogs(new byte[64])),
                Map.entry("openSource", () -> Native.openSource(new String[0])),
                Map.entry("openSink", () -> Native.openSink(new String[0])),
                Map.entry("poll", () -> Native.poll(UNKNOWN, 0)),
                Map.entry("read", () -> Native.read(UNKNOWN, 1, 0, 0, new byte[1], 0, 1)),
                Map.entry("settle", () -> Native.settle(UNKNOWN, 1, true)),
                Map.entry("begin", () -> Native.begin(UNKNOWN, new String[0])),
                Map.entry("advance", () -> Native.advance(UNKNOWN, 1, 0)),
                Map.entry("write", () -> Native.write(UNKNOWN, 1, new byte[1], 0, 1)),
                Map.entry("status", () -> Native.status(UNKNOWN)),
                Map.entry("control", () -> Native.control(UNKNOWN, new String[] {"messages"})),
                Map.entry("close", () -> Native.close(UNKNOWN, 0)));
        assertEquals(14, methods.size());
        methods.forEach((name, method) -> {
            Native.control(0, new String[] {"panic-in", name, "in " + name});
            final NativeException panic = assertThrows(NativeException.class, method, name);
            assertEquals(ErrorCode.PANIC, panic.errorCode(), name);
            assertTrue(panic.getMessage().contains("in " + name), panic.getMessage());
        });
        assertEquals(Native.ABI_VERSION, Native.abiVersion());
    }

    @Test
    void stringsKeepEveryCharacter() {
        for (final String text :
                List.of("nul \0 inside", "astral \uD83D\uDE00", "\0", "umlaut \u00FC", "\uFFFF\uD7FF")) {
            final NativeException unknown =
                    assertThrows(NativeException.class, () -> Native.control(0, new String[] {text}));
            assertTrue(unknown.getMessage().endsWith(text), () -> escape(unknown.getMessage()));
        }
    }

    @Test
    void halfASurrogatePairIsAConfigurationError() {
        for (final String text : List.of("\uD83D", "x\uDE00y", "\uDE00\uD83D")) {
            assertCode(ErrorCode.CONFIG, () -> Native.openSource(new String[] {"Stream Name", text}));
        }
    }

    @Test
    void configurationIsCheckedInWords() {
        final NativeException missing = assertThrows(NativeException.class, () -> Native.openSource(new String[0]));
        assertEquals(ErrorCode.CONFIG, missing.errorCode());
        assertTrue(missing.getMessage().contains("Stream Name"), missing.getMessage());
        assertCode(ErrorCode.CONFIG, () -> Native.openSource(new String[] {"Stream Name"}));
        assertCode(ErrorCode.CONFIG, () -> Native.openSource(new String[] {null, "secret"}));
        assertCode(ErrorCode.CONFIG, () -> Native.openSink(new String[] {"Account", null}));
        assertCode(ErrorCode.CONFIG, () -> Native.openSource(null));
    }

    @Test
    void handlesOfTheOtherKindAndClosedOnesAreRefused() throws NoSuchAlgorithmException {
        final long source = openSource();
        final long sink = openSink();
        assertCode(ErrorCode.CLOSED, () -> Native.poll(sink, 0));
        assertCode(ErrorCode.CLOSED, () -> Native.read(sink, 1, 0, 0, new byte[1], 0, 1));
        assertCode(ErrorCode.CLOSED, () -> Native.settle(sink, 1, true));
        assertCode(ErrorCode.CLOSED, () -> Native.begin(source, new String[0]));
        assertCode(ErrorCode.CLOSED, () -> Native.advance(source, 1, 0));
        assertCode(ErrorCode.CLOSED, () -> Native.write(source, 1, new byte[1], 0, 1));
        assertEquals('{', Native.status(source)[0]);
        assertEquals('{', Native.status(sink)[0]);

        for (final long handle : new long[] {source, sink}) {
            Native.close(handle, 1_000);
            Native.close(handle, 1_000);
            assertCode(ErrorCode.CLOSED, () -> Native.status(handle));
            assertCode(ErrorCode.CLOSED, () -> Native.control(handle, new String[] {"messages"}));
        }
        for (final long handle : new long[] {0, -1, UNKNOWN, Long.MIN_VALUE, Long.MAX_VALUE}) {
            assertCode(ErrorCode.CLOSED, () -> Native.poll(handle, 0));
            Native.close(handle, 0);
        }
    }

    @Test
    void argumentsOutOfRangeAreRefused() throws NoSuchAlgorithmException {
        final long source = openSource();
        final long sink = openSink();
        final byte[] buffer = new byte[8];
        for (final int[] range :
                new int[][] {{-1, 1}, {0, 9}, {8, 1}, {Integer.MAX_VALUE, 1}, {1, Integer.MAX_VALUE}, {0, -2}}) {
            assertThrows(NativeException.class, () -> Native.read(source, 1, 0, 0, buffer, range[0], range[1]));
            assertThrows(NativeException.class, () -> Native.write(sink, 1, buffer, range[0], range[1]));
        }
        assertThrows(NativeException.class, () -> Native.read(source, 1, -1, -1, buffer, 0, 8));
        assertThrows(RuntimeException.class, () -> Native.read(source, 1, 0, 0, null, 0, 0));
        assertThrows(RuntimeException.class, () -> Native.write(sink, 1, null, 0, 1));
        assertThrows(RuntimeException.class, () -> Native.drainLogs(null));
        assertThrows(NativeException.class, () -> Native.control(source, new String[0]));
        assertThrows(NativeException.class, () -> Native.control(source, null));
        assertThrows(NativeException.class, () -> Native.control(sink, new String[] {"abandon", "x"}));
        assertCode(ErrorCode.NOT_FOUND, () -> Native.settle(source, 12345, true));
        assertCode(ErrorCode.NOT_FOUND, () -> new NativeSource(source).mayCommit(12345));
        assertCode(ErrorCode.NOT_FOUND, () -> Native.advance(sink, 12345, 0));
        assertEquals(0, Native.drainLogs(new byte[0]));
        Native.close(source, 1_000);
        Native.close(sink, 1_000);
    }

    @Test
    void waitsAreBoundedWhateverIsAskedFor() {
        final long source = openSource();
        for (final long wait : new long[] {Long.MIN_VALUE, -1, 0, 50, Long.MAX_VALUE}) {
            final long start = System.nanoTime();
            final PartHeader[] parts = Native.poll(source, wait);
            assertTrue(parts == null || parts.length == 0);
            assertTrue(elapsedMillis(start) < 1_500, () -> wait + " ms took " + elapsedMillis(start));
        }
        Native.close(source, 1_000);
    }

    @Test
    void openingIsQuickAndClosingBoundedWhenNothingAnswers() throws NoSuchAlgorithmException {
        // Making a key pair takes its time, too.
        final String[] sinkConfig = NativeHandle.pairs(Configurations.sink(nowhere.address()));
        final long start = System.nanoTime();
        final long source = openSource();
        final long sink = Native.openSink(sinkConfig);
        assertTrue(elapsedMillis(start) < 1_000, () -> "open took " + elapsedMillis(start));

        final long upload = Native.begin(sink, NativeHandle.pairs(Configurations.upload()));
        final Outcome outcome = Native.advance(sink, upload, 100);
        assertEquals(Outcome.State.WAITING, outcome.stateOf());
        assertNotNull(outcome.transitUri());
        Native.poll(source, 100);

        final long closing = System.nanoTime();
        Native.close(source, 1_000);
        Native.close(sink, 1_000);
        assertTrue(elapsedMillis(closing) < 8_000, () -> "close took " + elapsedMillis(closing));
    }

    @Test
    void callsDuringACloseEndAsExceptions() throws InterruptedException, ExecutionException {
        final long source = openSource();
        final AtomicBoolean stop = new AtomicBoolean();
        final CountDownLatch running = new CountDownLatch(8);
        final Callable<List<ErrorCode>> caller = () -> {
            final List<ErrorCode> codes = new ArrayList<>();
            running.countDown();
            while (!stop.get()) {
                try {
                    Native.poll(source, 5);
                    Native.status(source);
                    Native.control(source, new String[] {"messages"});
                } catch (final NativeException e) {
                    codes.add(e.errorCode());
                }
            }
            return codes;
        };
        try (ExecutorService threads = Executors.newFixedThreadPool(8)) {
            final List<Future<List<ErrorCode>>> futures = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                futures.add(threads.submit(caller));
            }
            assertTrue(running.await(10, TimeUnit.SECONDS));
            Native.close(source, 500);
            assertCode(ErrorCode.CLOSED, () -> Native.poll(source, 0));
            stop.set(true);
            for (final Future<List<ErrorCode>> future : futures) {
                assertTrue(future.get().stream().allMatch(code -> code == ErrorCode.CLOSED));
            }
        }
    }

    @Test
    void cyclesLeaveNothingBehind() throws NoSuchAlgorithmException, IOException, InterruptedException {
        final Map<String, String> sourceConfig = Configurations.source(nowhere.address());
        final Map<String, String> sinkConfig = Configurations.sink(nowhere.address());
        cycle(sourceConfig, sinkConfig);
        final int threads = settledCount("task");
        final int files = settledCount("fd");
        for (int i = 0; i < 1_000; i++) {
            cycle(sourceConfig, sinkConfig);
        }
        assertSettles("task", threads + 4);
        assertSettles("fd", files + 4);
    }

    @Test
    void logLinesArriveWhole() {
        Native.control(0, new String[] {"panic-in", "abiVersion", "to be logged"});
        assertThrows(NativeException.class, Native::abiVersion);
        final byte[] buffer = new byte[32 * 1024];
        for (int bytes = Native.drainLogs(buffer); bytes > 0; bytes = Native.drainLogs(buffer)) {
            assertEquals('\n', buffer[bytes - 1]);
            new String(buffer, 0, bytes, StandardCharsets.UTF_8)
                    .lines()
                    .forEach(line -> assertTrue(line.matches("(ERROR|WARN|INFO|DEBUG|TRACE) .*"), line));
        }
    }

    @Test
    void theFacesOfTheBridgeWork() throws NoSuchAlgorithmException {
        final Bridge bridge = Bridge.load();
        final KinesisSource source = bridge.openSource(Configurations.source(nowhere.address()));
        assertEquals(List.of(), source.poll(0));
        source.stopFetching();
        assertArrayEquals(source.status(), Native.status(((NativeHandle) source).id()));
        source.messages();
        source.close(500);
        source.close(500);

        final SnowpipeSink sink = bridge.openSink(Configurations.sink(nowhere.address()));
        final long upload = sink.begin(Configurations.upload());
        sink.advance(upload, 10);
        sink.abandon(upload);
        sink.messages();
        sink.close(500);
        new LogPump().pump(bridge);
        assertEquals(List.of(), bridge.deregisterConsumer(Configurations.source(nowhere.address())));
    }

    private static void cycle(final Map<String, String> source, final Map<String, String> sink) {
        final long first = Native.openSource(NativeHandle.pairs(source));
        final long second = Native.openSink(NativeHandle.pairs(sink));
        Native.poll(first, 0);
        Native.close(first, 0);
        Native.close(second, 0);
    }

    private static long openSource() {
        return Native.openSource(NativeHandle.pairs(Configurations.source(nowhere.address())));
    }

    private static long openSink() throws NoSuchAlgorithmException {
        return Native.openSink(NativeHandle.pairs(Configurations.sink(nowhere.address())));
    }

    private static void assertCode(final ErrorCode code, final Executable call) {
        final NativeException e = assertThrows(NativeException.class, call);
        assertEquals(code, e.errorCode(), e.getMessage());
    }

    private static long elapsedMillis(final long start) {
        return (System.nanoTime() - start) / 1_000_000;
    }

    /** Entries of a folder of this process, such as its threads. */
    private static int count(final String folder) throws IOException {
        int count = 0;
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(Path.of("/proc/self", folder))) {
            for (final Path entry : entries) {
                count += entry == null ? 0 : 1;
            }
        }
        return count;
    }

    private static int settledCount(final String folder) throws IOException, InterruptedException {
        int last = count(folder);
        for (int i = 0; i < 20; i++) {
            Thread.sleep(100);
            final int now = count(folder);
            if (now >= last) {
                return last;
            }
            last = now;
        }
        return last;
    }

    private static void assertSettles(final String folder, final int most) throws IOException, InterruptedException {
        final long start = System.nanoTime();
        while (count(folder) > most && elapsedMillis(start) < 20_000) {
            Thread.sleep(100);
        }
        final int now = count(folder);
        assertTrue(now <= most, () -> "%d in %s, at most %d expected".formatted(now, folder, most));
    }

    private static String escape(final String text) {
        return text.chars().mapToObj("\\u%04X"::formatted).toList().toString();
    }
}
