import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cachedFolder, mustRun, runProgram, say } from './cache.ts';

export const KAFKA_VERSION = '4.1.1';
const CONFLUENT_KAFKA_VERSION = '2.16.1';
const PYARROW_VERSION = '26.0.1';
const DATAFUSION_VERSION = '55.0.0';

// slf4j-simple: without a binding the broker's own words, such as "Address already in use", would be lost.
const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>kafkaload</groupId>
  <artifactId>test-broker</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>${KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
`;

/** Class path of Apache Kafka's broker, tools and Java client; downloaded by Maven on first use (about 55 MB). */
export async function kafkaClassPath(): Promise<string> {
  const folder = await cachedFolder(`kafka-${KAFKA_VERSION}`, async (temporary) => {
    say(`downloading Apache Kafka ${KAFKA_VERSION} with Maven (about 55 MB, once)`);
    await writeFile(join(temporary, 'pom.xml'), POM);
    const started = Date.now();
    await mustRun('mvn', [
      ...['-q', '-B', '-f', join(temporary, 'pom.xml')],
      ...['dependency:copy-dependencies', `-DoutputDirectory=${join(temporary, 'libs')}`],
    ]);
    say(`downloaded Apache Kafka in ${Math.round((Date.now() - started) / 1000)} s`);
  });
  return join(folder, 'libs', '*');
}

/** Compiles one Java source against the broker's jars, once for each content of it; returns the class path to run it. */
export async function javaClassPath(source: string): Promise<string> {
  const libraries = await kafkaClassPath();
  const content = await readFile(source);
  const name = `java-${createHash('sha256').update(content).update(KAFKA_VERSION).digest('hex').slice(0, 16)}`;
  const classes = await cachedFolder(name, async (temporary) => {
    await mustRun('javac', ['-nowarn', '-cp', libraries, '-d', temporary, source]);
  });
  return `${classes}:${libraries}`;
}

const pythons = new Map<string, Promise<string>>();

/** A Python that has confluent-kafka, whose wheel carries librdkafka with every codec; made on first use. */
export function pythonWithLibrdkafka(): Promise<string> {
  return pythonWith({ 'confluent-kafka': CONFLUENT_KAFKA_VERSION }, 'the librdkafka producer');
}

/** A Python that has pyarrow and DataFusion, which use all that a Parquet file offers to find rows; made on first use. */
export function pythonWithParquetReaders(): Promise<string> {
  return pythonWith({ pyarrow: PYARROW_VERSION, datafusion: DATAFUSION_VERSION }, 'two readers of Parquet');
}

/** @param packages Versions by name; they are imported by that name, with underscores. */
function pythonWith(packages: Readonly<Record<string, string>>, purpose: string): Promise<string> {
  const names = Object.keys(packages).join('-');
  const known = pythons.get(names) ?? preparePython(packages, purpose);
  pythons.set(names, known);
  return known;
}

async function preparePython(packages: Readonly<Record<string, string>>, purpose: string): Promise<string> {
  const version = (await mustRun('python3', ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'])).trim();
  const pinned = Object.entries(packages);
  const name = pinned.map((one) => one.join('-')).join('-');
  const folder = await cachedFolder(`${name}-python${version}`, async (temporary) => {
    say(`installing ${pinned.map((one) => one.join(' ')).join(' and ')} for ${purpose} of the tests (once)`);
    await mustRun('python3', ['-m', 'venv', temporary]);
    await mustRun(join(temporary, 'bin', 'python'), [
      ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary', ':all:'],
      ...pinned.map((one) => one.join('==')),
    ]);
  });
  const python = join(folder, 'bin', 'python');
  const modules = Object.keys(packages).map((one) => one.replaceAll('-', '_'));
  const check = await runProgram(python, ['-c', `import ${modules.join(', ')}`]);
  if (check.code !== 0) {
    throw new Error(`${python} cannot import ${modules.join(', ')}; remove ${folder} and run again:\n${check.stderr}`);
  }
  return python;
}
