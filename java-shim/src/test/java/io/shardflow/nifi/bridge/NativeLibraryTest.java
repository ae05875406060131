/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.bridge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.ref.WeakReference;
import java.net.MalformedURLException;
import java.net.URI;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NativeLibraryTest {

    @TempDir
    private Path folder;

    @Test
    void theNameTellsOsAndArchitecture() {
        assertEquals("shardflow-linux-x86_64", NativeLibrary.name("Linux", "amd64"));
        assertEquals("shardflow-linux-aarch64", NativeLibrary.name("Linux", "aarch64"));
        assertEquals("shardflow-macos-aarch64", NativeLibrary.name("Mac OS X", "aarch64"));
        assertEquals("shardflow-windows-x86_64", NativeLibrary.name("Windows Server 2022", "amd64"));
    }

    @Test
    void twoClassLoadersHaveTwoCopies() throws IOException, InterruptedException {
        Library.require();
        final Path first = Files.copy(Library.file(), folder.resolve("first"));
        final Path second = Files.copy(Library.file(), folder.resolve("second"));
        final String output = run(folder, "two", first.toString(), second.toString());
        assertEquals("both loaded", output.lines().toList().getLast());
    }

    @Test
    void aReplacedNarIsLetGo() throws IOException, InterruptedException {
        Library.require();
        final Path copy = Files.copy(Library.file(), folder.resolve("replaced"));
        assertEquals(
                "collected",
                run(folder, "let-go", copy.toString()).lines().toList().getLast());
    }

    @Test
    void theJvmEndsByItselfWithOpenHandlesAndJniIsUsedCorrectly() throws IOException, InterruptedException {
        Library.require();
        final String output = run(folder, "leave-open", Library.file().toString());
        assertEquals("leaving", output.lines().toList().getLast());
        assertFalse(output.contains("WARNING in native method"), output);
        assertFalse(output.contains("WARNING: JNI"), output);
        assertFalse(output.contains("FATAL"), output);
    }

    @Test
    void withoutALibraryTheFailureNamesTheRemedyAndIsKept() throws IOException, InterruptedException {
        final List<String> lines = run(folder, "missing").lines().toList();
        assertTrue(lines.get(0).contains("-D" + NativeLibrary.FOLDER_PROPERTY), lines::toString);
        assertTrue(lines.get(0).contains(NativeLibrary.name()), lines::toString);
        assertEquals(lines.get(0), lines.get(1));
    }

    @Test
    void whereTheTemporaryFolderForbidsExecutionACopyIsMadeElsewhere() throws IOException, InterruptedException {
        Library.require();
        final Path unpacked = Files.createDirectories(folder.resolve("unpacked/native"));
        final String fileName = System.mapLibraryName(NativeLibrary.name());
        Files.copy(Library.file(), unpacked.resolve(fileName));
        final Path hostile = Files.writeString(folder.resolve("not-executable"), "no library");
        final String output =
                run(folder, "fallback", hostile.toString(), unpacked.getParent().toString());
        assertEquals("loaded", output.lines().toList().getLast());
        try (var files = Files.list(unpacked)) {
            assertEquals(
                    List.of(fileName),
                    files.map(file -> file.getFileName().toString()).toList());
        }
    }

    @Test
    void copiesOfEarlierStartsAreSwept() throws IOException, InterruptedException {
        Library.require();
        final Path stale = copyOfEarlierStart("1", Instant.now().minusSeconds(3_600));
        final Path young = copyOfEarlierStart("2", Instant.now());
        final Path foreign = Files.writeString(folder.resolve("other.nar-unpacked_1_other"), "");
        Files.setLastModifiedTime(foreign, FileTime.from(Instant.EPOCH));
        run(folder, "by-name", Library.file().toString());
        assertFalse(Files.exists(stale));
        assertTrue(Files.exists(young));
        assertTrue(Files.exists(foreign));
    }

    private Path copyOfEarlierStart(final String random, final Instant modified) throws IOException {
        final Path copy = folder.resolve("shardflow-nar-0.1.0.nar-unpacked_" + random + "_" + NativeLibrary.name());
        Files.writeString(copy, "old");
        return Files.setLastModifiedTime(copy, FileTime.from(modified));
    }

    /** Runs {@link Program} in a JVM of its own, with JNI checked, and returns what it printed. */
    private static String run(final Path temporary, final String... arguments)
            throws IOException, InterruptedException {
        final List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xcheck:jni",
                "-Dslf4j.internal.verbosity=ERROR",
                "--enable-native-access=ALL-UNNAMED",
                "-Djava.io.tmpdir=" + temporary,
                "-cp",
                System.getProperty("java.class.path"),
                Program.class.getName()));
        command.addAll(Arrays.asList(arguments));
        final Path output = Files.createTempFile("shardflow-test-", ".out");
        final Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .start();
        try {
            assertTrue(process.waitFor(60, TimeUnit.SECONDS), "the JVM does not end");
            final String text = Files.readString(output, StandardCharsets.UTF_8);
            assertEquals(0, process.exitValue(), text);
            return text;
        } finally {
            process.destroyForcibly();
            Files.delete(output);
        }
    }

    /** What runs in a JVM of its own. */
    static final class Program {

        private Program() {}

        public static void main(final String[] arguments) throws Exception {
            switch (arguments[0]) {
                case "two" -> {
                    open(new Loader(arguments[1], null));
                    open(new Loader(arguments[2], null));
                    System.out.println("both loaded");
                }
                case "let-go" -> {
                    final WeakReference<ClassLoader> loader = useAndLetGo(arguments[1]);
                    final Instant deadline = Instant.now().plusSeconds(30);
                    while (loader.get() != null && Instant.now().isBefore(deadline)) {
                        System.gc();
                        Thread.sleep(50);
                    }
                    System.out.println(loader.get() == null ? "collected" : "kept");
                }
                case "fallback" -> {
                    open(new Loader(arguments[1], Path.of(arguments[2])));
                    System.out.println("loaded");
                }
                case "by-name" -> open(new Loader(arguments[1], null));
                case "missing" -> {
                    fail();
                    fail();
                }
                default -> {
                    System.setProperty(NativeLibrary.FILE_PROPERTY, arguments[1]);
                    final BlackHole nowhere = new BlackHole();
                    final Bridge bridge = Bridge.load();
                    final KinesisSource source = bridge.openSource(Configurations.source(nowhere.address()));
                    final SnowpipeSink sink = bridge.openSink(Configurations.sink(nowhere.address()));
                    source.poll(100);
                    sink.advance(sink.begin(Configurations.upload()), 100);
                    source.status();
                    source.messages();
                    new LogPump().pump(bridge);
                    System.out.println("leaving");
                }
            }
        }

        // A method of its own, so that nothing of the loader stays on the stack.
        private static WeakReference<ClassLoader> useAndLetGo(final String library) throws Exception {
            final Loader loader = new Loader(library, null);
            open(loader);
            loader.close();
            return new WeakReference<>(loader);
        }

        private static void fail() {
            try {
                Bridge.load();
                System.out.println("loaded");
            } catch (final NativeException e) {
                System.out.println(e.getMessage());
            }
        }

        /** Loads the bridge in the given class loader and lets it work. */
        private static void open(final ClassLoader loader) throws Exception {
            final Class<?> bridge = loader.loadClass(Bridge.class.getName());
            final Object loaded = bridge.getMethod("load").invoke(null);
            final BlackHole nowhere = new BlackHole();
            final Object source = bridge.getMethod("openSource", java.util.Map.class)
                    .invoke(loaded, Configurations.source(nowhere.address()));
            final Class<?> type = loader.loadClass(KinesisSource.class.getName());
            type.getMethod("poll", long.class).invoke(source, 10L);
            type.getMethod("close", long.class).invoke(source, 500L);
            nowhere.close();
        }
    }

    /** Finds the library where it is told to, as a NAR's class loader does, and has classes of its own. */
    private static final class Loader extends URLClassLoader {

        private final String library;

        private Loader(final String library, final Path unpacked) throws MalformedURLException {
            super(urls(unpacked), ClassLoader.getPlatformClassLoader());
            this.library = library;
        }

        private static URL[] urls(final Path unpacked) throws MalformedURLException {
            final List<URL> urls = new ArrayList<>();
            for (final String entry :
                    System.getProperty("java.class.path").split(System.getProperty("path.separator"))) {
                urls.add(Path.of(entry).toUri().toURL());
            }
            if (unpacked != null) {
                urls.add(URI.create(unpacked.toUri() + "/").toURL());
            }
            return urls.toArray(URL[]::new);
        }

        @Override
        protected String findLibrary(final String name) {
            return library;
        }
    }
}
